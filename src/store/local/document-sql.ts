import type { ChunkVector, Commit, DocumentWrite, IndexChange, WrittenDocument } from "../store.ts";
import type { IndexLogSql } from "./index-log-sql.ts";
import type { KeywordSql } from "./keyword-sql.ts";
import type { Connection } from "./open-database.ts";

const PENDING = 0;
const EMBEDDED = 1;
const NOTHING_TO_EMBED = 2;

/** What a transaction gathers for those who listen to commits. */
export type CommitDraft = {
  -readonly [K in keyof Commit]: Commit[K] extends readonly (infer T)[] ? T[] : Commit[K];
};

interface Existing {
  key: number;
  contentSha256: Uint8Array;
}

type Values = (string | number | null | Uint8Array)[];

/** The SQL that writes documents, chunks and vectors. Every function is called inside a transaction. */
export function documentWriteSql(
  connection: Connection,
  { keyword, indexLog }: { keyword: KeywordSql | undefined; indexLog: IndexLogSql },
) {
  const { keep } = connection;
  const find = keep<Existing, [number, string]>(
    "SELECT key, content_sha256 AS contentSha256 FROM documents WHERE collection_key = ? AND id = ?",
  );
  const insert = keep<{ key: number }, Values>(
    `INSERT INTO documents (title, metadata, content_sha256, sequence, updated_at, collection_key, id, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING key`,
  );
  const update = keep<unknown, Values>(
    "UPDATE documents SET title = ?, metadata = ?, content_sha256 = ?, sequence = ?, updated_at = ? WHERE key = ?",
  );
  const remove = keep<unknown, [number]>("DELETE FROM documents WHERE key = ?");
  const recordChange = keep<unknown, [number, number, string, string]>(
    "INSERT OR REPLACE INTO changes (sequence, collection_key, document_id, kind) VALUES (?, ?, ?, ?)",
  );
  const chunks = chunkWriteSql(connection, { keyword, indexLog });
  const change = (draft: CommitDraft, id: string, kind: "insert" | "update" | "delete"): number => {
    const sequence = ++draft.sequence;
    recordChange.run(sequence, draft.collectionKey, id, kind);
    draft.documents.push({ id, kind, sequence });
    return sequence;
  };
  return {
    write(draft: CommitDraft, document: DocumentWrite, now: string): WrittenDocument {
      const { id, title } = document;
      const existing = find.get(draft.collectionKey, id);
      const kind = existing === null ? "insert" : "update";
      const sequence = change(draft, id, kind);
      const content = contentHash(document);
      const row: Values = [title, JSON.stringify(document.metadata), content, sequence, now];
      if (existing === null) {
        chunks.add(draft, insert.get(...row, draft.collectionKey, id, now)?.key ?? 0, document);
        return { id, kind, sequence };
      }
      update.run(...row, existing.key);
      if (Buffer.compare(existing.contentSha256, content) !== 0) {
        chunks.forget(draft, existing.key);
        chunks.add(draft, existing.key, document);
      }
      return { id, kind, sequence };
    },
    delete(draft: CommitDraft, id: string): boolean {
      const existing = find.get(draft.collectionKey, id);
      if (existing === null) return false;
      chunks.forget(draft, existing.key);
      remove.run(existing.key);
      change(draft, id, "delete");
      return true;
    },
    writeVector: (draft: CommitDraft, vector: ChunkVector): void =>
      chunks.writeVector(draft, vector),
  };
}

function chunkWriteSql(
  { keep }: Connection,
  { keyword, indexLog }: { keyword: KeywordSql | undefined; indexLog: IndexLogSql },
) {
  const note = (draft: CommitDraft, chunkKey: number, change: IndexChange["change"]): void =>
    indexLog.append(draft.collectionKey, ++draft.indexSequence, { chunkKey, change });
  const keys = keep<{ key: number }, [number]>("SELECT key FROM chunks WHERE document_key = ?");
  const remove = keep<unknown, [number]>("DELETE FROM chunks WHERE document_key = ?");
  const insert = keep<{ key: number }, (string | number | null)[]>(
    `INSERT INTO chunks (document_key, collection_key, position, start, "end", heading, text, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING key`,
  );
  const setState = keep<unknown, [number, number, number]>(
    `UPDATE chunks SET state = ? WHERE key = ? AND collection_key = ? AND state = ${PENDING}`,
  );
  const insertVector = keep<unknown, [number, Uint8Array]>(
    "INSERT INTO vectors (chunk_key, vector) VALUES (?, ?)",
  );
  const addVector = (draft: CommitDraft, key: number, vector: Float32Array): void => {
    insertVector.run(key, bytesOf(vector));
    draft.vectors.push({ key, vector });
    note(draft, key, "vector");
  };
  return {
    add(draft: CommitDraft, documentKey: number, document: DocumentWrite): void {
      const state = document.vector === undefined ? PENDING : EMBEDDED;
      for (const [position, { start, end, heading }] of document.chunks.entries()) {
        const text = document.text === null ? null : document.text.slice(start, end);
        const row = [documentKey, draft.collectionKey, position, start, end, heading, text, state];
        const key = insert.get(...row)?.key ?? 0;
        draft.chunkKeyLast = key;
        draft.chunksAdded++;
        if (text !== null || document.title !== null) {
          const words = { key, title: document.title, text };
          keyword?.add(draft.collectionKey, words);
          draft.texts.push(words);
          note(draft, key, "text");
        }
        if (document.vector === undefined) draft.chunksPending++;
        else addVector(draft, key, document.vector);
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
    writeVector(draft: CommitDraft, { key, vector }: ChunkVector): void {
      const state = vector === undefined ? NOTHING_TO_EMBED : EMBEDDED;
      // No row: the chunk was replaced while its text was being embedded.
      if (setState.run(state, key, draft.collectionKey).changes === 0) return;
      if (vector !== undefined) addVector(draft, key, vector);
    },
  };
}

function contentHash({ title, text, vector, chunks }: DocumentWrite): Uint8Array {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(JSON.stringify([title, text, chunks]));
  if (vector !== undefined) hash.update(bytesOf(vector));
  return hash.digest();
}

/** The same memory as bytes. */
function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}
