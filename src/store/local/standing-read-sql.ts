import { Problem } from "../../problems.ts";
import type {
  ChangePage,
  ChangeRange,
  ChunkContent,
  DocumentChange,
  DocumentContent,
  DocumentContentPage,
  StandingState,
} from "../standing-store.ts";
import { floatsOf } from "./chunk-read-sql.ts";
import type { Connection } from "./open-database.ts";

/** Characters of a page, at which it ends: a document has up to 2 MB. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

const PENDING = 0;

interface StoredChunk extends Omit<ChunkContent, "vector"> {
  state: number;
  vector: Uint8Array | null;
}

interface StoredDocument {
  key: number;
  title: string | null;
  metadata: string;
}

interface StoredChange {
  sequence: number;
  id: string;
  inserted: number;
}

/** The SQL that standing queries read. */
export function standingReadSql(connection: Connection) {
  const { keep } = connection;
  const count = keep<{ count: number }, [number, number, number, number]>(
    `SELECT count(*) AS count FROM (SELECT 1 FROM changes
     WHERE collection_key = ? AND sequence > ? AND sequence <= ? LIMIT ?)`,
  );
  const before = keep<{ sequence: number }, [number, number]>(
    "SELECT sequence FROM changes WHERE collection_key = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?",
  );
  const facts = standingFactSql(connection);
  const contentOf = contentSql(connection);
  return {
    countChanges: (collectionKey: number, { after, upTo, limit }: ChangeRange): number =>
      count.get(collectionKey, after, upTo ?? facts.lastChange(), limit)?.count ?? 0,
    changeBefore: (collectionKey: number, limit: number): number =>
      before.get(collectionKey, limit)?.sequence ?? 0,
    embeddedUpTo: facts.embeddedUpTo,
    ...changedDocumentsSql(connection, facts, contentOf),
    documentContents: documentContentsSql(connection, facts, contentOf),
    ...keptReadSql(connection),
  };
}

/** Where the change numbers stand. */
function standingFactSql({ db, keep }: Connection) {
  const head = keep<{ sequence: number }, []>(
    "SELECT value AS sequence FROM facts WHERE name = 'sequence'",
  );
  const live = keep<unknown, [number]>(
    "SELECT 1 FROM collections WHERE key = ? AND name IS NOT NULL",
  );
  const firstPending = keep<{ sequence: number | null }, [number]>(
    `SELECT min(d.sequence) AS sequence FROM chunks c JOIN documents d ON d.key = c.document_key
     WHERE c.collection_key = ? AND c.state = ${PENDING}`,
  );
  const lastChange = (): number => head.get()?.sequence ?? 0;
  const requireLive = (collectionKey: number): void => {
    if (live.get(collectionKey) !== null) return;
    throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
  };
  return {
    lastChange,
    requireLive,
    embeddedUpTo: db.transaction((collectionKey: number): number => {
      requireLive(collectionKey);
      const waiting = firstPending.get(collectionKey)?.sequence ?? null;
      return waiting === null ? lastChange() : waiting - 1;
    }),
  };
}

type Facts = ReturnType<typeof standingFactSql>;

/** What a document is now: undefined where there is none, `waits` where it has no vectors yet and they were asked for. */
type ContentOf = (
  collectionKey: number,
  id: string,
  vectors: boolean,
) => DocumentContent | "waits" | undefined;

function contentSql({ keep }: Connection): ContentOf {
  const document = keep<StoredDocument, [number, string]>(
    "SELECT key, title, metadata FROM documents WHERE collection_key = ? AND id = ?",
  );
  const chunks = keep<StoredChunk, [number]>(
    `SELECT c.start, c.text, c.state, v.vector FROM chunks c LEFT JOIN vectors v ON v.chunk_key = c.key
     WHERE c.document_key = ? ORDER BY c.position`,
  );
  const chunkTexts = keep<StoredChunk, [number]>(
    "SELECT start, text, state, NULL AS vector FROM chunks WHERE document_key = ? ORDER BY position",
  );
  return (collectionKey, id, vectors) => {
    const found = document.get(collectionKey, id);
    if (found === null) return undefined;
    const parts = (vectors ? chunks : chunkTexts).all(found.key);
    if (vectors && parts.some(({ state }) => state === PENDING)) return "waits";
    return { title: found.title, metadata: found.metadata, chunks: parts.map(toChunk) };
  };
}

function changedDocumentsSql(
  { db, keep }: Connection,
  { lastChange, requireLive }: Facts,
  contentOf: ContentOf,
) {
  const changes = keep<StoredChange & { appeared: number }, [number, number, number, number]>(
    `SELECT sequence, document_id AS id, inserted, appeared FROM changes
     WHERE collection_key = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`,
  );
  const pageOf = (
    collectionKey: number,
    { after, upTo = lastChange(), limit, vectors }: ChangeRange & { vectors: boolean },
  ): ChangePage => {
    requireLive(collectionKey);
    const page: DocumentChange[] = [];
    let characters = 0;
    const rows = changes.all(collectionKey, after, upTo, limit);
    for (const { appeared, sequence, id, ...row } of rows) {
      const document = contentOf(collectionKey, id, vectors);
      if (document === "waits")
        return { changes: page, upTo: sequence - 1, done: true, waits: true };
      page.push({ id, sequence, inserted: vectors ? appeared : row.inserted, document });
      characters += charactersOf(document);
      if (characters > PAGE_CHARACTERS_MAX)
        return { changes: page, upTo: sequence, done: false, waits: false };
    }
    const last = page.at(-1)?.sequence ?? after;
    const done = rows.length < limit;
    return { changes: page, upTo: done ? Math.max(upTo, last) : last, done, waits: false };
  };
  return {
    // In a transaction: a document is read with the change that it is of.
    changedDocuments: db.transaction(pageOf),
    changeList: (
      collectionKey: number,
      { after, upTo, limit, vectors }: Required<ChangeRange> & { vectors: boolean },
    ): Omit<DocumentChange, "document">[] => {
      requireLive(collectionKey);
      return changes
        .all(collectionKey, after, upTo, limit)
        .map(({ appeared, inserted, ...row }) => ({
          ...row,
          inserted: vectors ? appeared : inserted,
        }));
    },
  };
}

function documentContentsSql(
  { db, keep }: Connection,
  { requireLive }: Facts,
  contentOf: ContentOf,
) {
  const documents = keep<StoredChange, [number, string, number]>(
    `SELECT d.sequence, d.id, c.inserted FROM documents d
     JOIN changes c ON c.collection_key = d.collection_key AND c.document_id = d.id
     WHERE d.collection_key = ? AND d.id > ? ORDER BY d.id LIMIT ?`,
  );
  const pageOf = (
    collectionKey: number,
    { after, limit, vectors }: { after: string; limit: number; vectors: boolean },
  ): DocumentContentPage => {
    requireLive(collectionKey);
    const page: DocumentChange[] = [];
    let characters = 0;
    let last: string | undefined;
    for (const row of documents.all(collectionKey, after, limit)) {
      last = row.id;
      const document = contentOf(collectionKey, row.id, vectors);
      if (document === "waits") continue;
      page.push({ ...row, document });
      characters += charactersOf(document);
      if (characters > PAGE_CHARACTERS_MAX) break;
    }
    return { documents: page, last };
  };
  return db.transaction(pageOf);
}

/** What is kept of queries that tell of documents that match no longer. */
function keptReadSql({ keep }: Connection) {
  const state = keep<StandingState, [string]>(
    "SELECT sequence, known_from AS knownFrom FROM standing_leaves WHERE query = ?",
  );
  const inside = keep<{ query: string }, [number, string, number]>(
    `SELECT query FROM standing_matches WHERE collection_key = ? AND document_id = ?
       AND (inside = 1 OR sequence = ?)`,
  );
  const gone = keep<{ documentId: string; sequence: number }, [string, number]>(
    `SELECT m.document_id AS documentId, c.sequence FROM standing_matches m
     JOIN changes c ON c.collection_key = m.collection_key AND c.document_id = m.document_id
     WHERE m.query = ? AND m.inside = 1 AND c.kind = 'delete' AND c.sequence <= ?`,
  );
  const left = keep<{ documentId: string; sequence: number }, [string, number, number, number]>(
    `SELECT document_id AS documentId, sequence FROM standing_matches
     WHERE query = ? AND inside = 0 AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`,
  );
  return {
    standingState: (query: string): StandingState | undefined => state.get(query) ?? undefined,
    standingInside: (collectionKey: number, documentId: string, leftWith = -1): string[] =>
      inside.all(collectionKey, documentId, leftWith).map((row) => row.query),
    standingGone: (query: string, { upTo }: { upTo: number }) => gone.all(query, upTo),
    standingLeft: (query: string, { after, upTo, limit }: Required<ChangeRange>) =>
      left.all(query, after, upTo, limit),
  };
}

function toChunk({ start, text, vector }: StoredChunk): ChunkContent {
  return { start, text, vector: vector === null ? undefined : floatsOf(vector) };
}

function charactersOf(content: DocumentContent | undefined): number {
  if (content === undefined) return 0;
  const texts = content.chunks.reduce(
    (sum, { text, vector }) => sum + (text?.length ?? 0) + (vector?.byteLength ?? 0),
    0,
  );
  return texts + content.metadata.length + (content.title?.length ?? 0);
}
