import type { ChunkText, ChunkVector, DocumentWrite, IndexChange } from "../store.ts";
import type { CommitDraft } from "./commit-drafts.ts";
import type { IndexLogWriteSql } from "./index-log-write-sql.ts";
import type { KeywordWriteSql } from "./keyword-write-sql.ts";
import type { Connection } from "./open-database.ts";

const PENDING = 0;
const EMBEDDED = 1;
const NOTHING_TO_EMBED = 2;

/** What is kept in step with the chunks. */
export interface ChunkFollowers {
  /** Undefined where no full-text tables are kept. */
  keyword: KeywordWriteSql | undefined;
  indexLog: IndexLogWriteSql;
}

/** The SQL that writes chunks and vectors. Every function is called inside a transaction. */
export function chunkWriteSql({ keep }: Connection, { keyword, indexLog }: ChunkFollowers) {
  const note = (draft: CommitDraft, chunkKey: number, change: IndexChange["change"]): void =>
    indexLog.append(draft.collectionKey, ++draft.indexSequence, { chunkKey, change });
  const keys = keep<{ key: number }, [number]>("SELECT key FROM chunks WHERE document_key = ?");
  const remove = keep<unknown, [number]>("DELETE FROM chunks WHERE document_key = ?");
  const insert = keep<unknown, (string | number | null)[]>(
    `INSERT INTO chunks (document_key, collection_key, position, start, "end", heading, text, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const setState = keep<unknown, [number, number, number]>(
    `UPDATE chunks SET state = ? WHERE key = ? AND collection_key = ? AND state = ${PENDING}`,
  );
  const insertVector = keep<unknown, [number, Uint8Array]>(
    "INSERT INTO vectors (chunk_key, vector) VALUES (?, ?)",
  );
  const addVector = (draft: CommitDraft, key: number, vector: Float32Array): void => {
    insertVector.run(key, bytesOf(vector));
    note(draft, key, "vector");
  };
  return {
    add(draft: CommitDraft, documentKey: number, document: DocumentWrite): void {
      const { title, vector } = document;
      const state = vector === undefined ? PENDING : EMBEDDED;
      for (const [position, { start, end, heading }] of document.chunks.entries()) {
        const text = document.text === null ? null : document.text.slice(start, end);
        const row = [documentKey, draft.collectionKey, position, start, end, heading, text, state];
        const key = Number(insert.run(...row).lastInsertRowid);
        draft.chunkKeyLast = key;
        draft.chunksAdded++;
        if (text !== null || title !== null) {
          keyword?.add(draft.collectionKey, { key, title, text });
          note(draft, key, "text");
        }
        if (vector === undefined) draft.chunksPending++;
        else addVector(draft, key, vector);
      }
    },
    forget(draft: CommitDraft, documentKey: number): void {
      for (const { key } of keys.all(documentKey)) {
        keyword?.remove(draft.collectionKey, key);
        draft.chunksRemoved.push(key);
        note(draft, key, "removed");
      }
      remove.run(documentKey);
    },
    embedAgain: embedAgainSql({ keep }, { keyword, note, addVector }),
    writeVector(draft: CommitDraft, { key, vector }: ChunkVector): void {
      const state = vector === undefined ? NOTHING_TO_EMBED : EMBEDDED;
      // No row: the chunk was replaced while its text was being embedded.
      if (setState.run(state, key, draft.collectionKey).changes === 0) return;
      if (vector !== undefined) addVector(draft, key, vector);
    },
  };
}

interface Noting extends Pick<ChunkFollowers, "keyword"> {
  note: (draft: CommitDraft, chunkKey: number, change: IndexChange["change"]) => void;
  addVector: (draft: CommitDraft, key: number, vector: Float32Array) => void;
}

/** Puts a chunk with another vector in the place of one that has or had one; false where there is none. */
function embedAgainSql(
  { keep }: Pick<Connection, "keep">,
  { keyword, note, addVector }: Noting,
): (draft: CommitDraft, chunk: ChunkVector) => boolean {
  const contentOf = keep<Pick<ChunkText, "title" | "text">, [number, number]>(
    `SELECT d.title, c.text FROM chunks c JOIN documents d ON d.key = c.document_key
     WHERE c.key = ? AND c.collection_key = ? AND c.state <> ${PENDING}`,
  );
  const copy = keep<unknown, [number, number]>(
    `INSERT INTO chunks (document_key, collection_key, position, start, "end", heading, text, state)
     SELECT document_key, collection_key, position, start, "end", heading, text, ? FROM chunks WHERE key = ?`,
  );
  // Its vector goes with it.
  const remove = keep<unknown, [number]>("DELETE FROM chunks WHERE key = ?");
  return (draft, { key: old, vector }) => {
    const content = contentOf.get(old, draft.collectionKey);
    if (content === null) return false;
    const state = vector === undefined ? NOTHING_TO_EMBED : EMBEDDED;
    const key = Number(copy.run(state, old).lastInsertRowid);
    draft.chunkKeyLast = key;
    draft.chunksAdded++;
    // Whoever reads the log up to a place between finds the text twice, and never not at all.
    if (content.text !== null || content.title !== null) {
      keyword?.add(draft.collectionKey, { key, ...content });
      note(draft, key, "text");
    }
    if (vector !== undefined) addVector(draft, key, vector);
    keyword?.remove(draft.collectionKey, old);
    draft.chunksRemoved.push(old);
    note(draft, old, "removed");
    remove.run(old);
    return true;
  };
}

/** The same memory as bytes. */
export function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}
