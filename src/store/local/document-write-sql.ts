import type { ChunkVector, DocumentWrite, WrittenDocument } from "../store.ts";
import { bytesOf, chunkWriteSql, type ChunkFollowers } from "./chunk-write-sql.ts";
import type { CommitDraft } from "./commit-drafts.ts";
import type { Connection } from "./open-database.ts";

interface Existing {
  key: number;
  contentSha256: Uint8Array;
}

type Values = (string | number | null | Uint8Array)[];

/** The SQL that writes documents with their chunks and vectors. Every function is called inside a transaction. */
export function documentWriteSql(connection: Connection, followers: ChunkFollowers) {
  const { keep } = connection;
  const find = keep<Existing, [number, string]>(
    "SELECT key, content_sha256 AS contentSha256 FROM documents WHERE collection_key = ? AND id = ?",
  );
  const insert = keep<unknown, Values>(
    `INSERT INTO documents (title, metadata, content_sha256, sequence, updated_at, collection_key, id, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const update = keep<unknown, Values>(
    "UPDATE documents SET title = ?, metadata = ?, content_sha256 = ?, sequence = ?, updated_at = ? WHERE key = ?",
  );
  const remove = keep<unknown, [number]>("DELETE FROM documents WHERE key = ?");
  const recordInsert = keep<unknown, [number, number, string]>(
    `INSERT OR REPLACE INTO changes (sequence, collection_key, document_id, kind, inserted, appeared)
     VALUES (?1, ?2, ?3, 'insert', ?1, ?1)`,
  );
  // There is one for every document: it takes the place of that.
  const recordChange = keep<unknown, [number, "update" | "delete", number, number, string]>(
    `UPDATE changes SET sequence = ?1, kind = ?2, appeared = CASE WHEN ?3 AND appeared = sequence THEN ?1 ELSE appeared END
     WHERE collection_key = ?4 AND document_id = ?5`,
  );
  const waits = keep<unknown, [number]>(
    "SELECT 1 FROM chunks WHERE document_key = ? AND state = 0 LIMIT 1",
  );
  const chunks = chunkWriteSql(connection, followers);
  const change = (
    draft: CommitDraft,
    id: string,
    { kind, waiting = false }: { kind: "insert" | "update" | "delete"; waiting?: boolean },
  ): number => {
    const sequence = ++draft.sequence;
    if (kind === "insert") recordInsert.run(sequence, draft.collectionKey, id);
    else recordChange.run(sequence, kind, Number(waiting), draft.collectionKey, id);
    draft.documents.push({ id, kind, sequence });
    return sequence;
  };
  return {
    write(draft: CommitDraft, document: DocumentWrite, now: string): WrittenDocument {
      const { id, title } = document;
      const existing = find.get(draft.collectionKey, id);
      const kind = existing === null ? "insert" : "update";
      const waiting = existing !== null && waits.get(existing.key) !== null;
      const sequence = change(draft, id, { kind, waiting });
      const content = contentHash(document);
      const row: Values = [title, JSON.stringify(document.metadata), content, sequence, now];
      if (existing === null) {
        const { lastInsertRowid } = insert.run(...row, draft.collectionKey, id, now);
        chunks.add(draft, Number(lastInsertRowid), document);
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
      change(draft, id, { kind: "delete" });
      return true;
    },
    writeVector: (draft: CommitDraft, vector: ChunkVector): void =>
      chunks.writeVector(draft, vector),
    embedAgain: chunks.embedAgain,
  };
}

function contentHash({ title, text, vector, chunks }: DocumentWrite): Uint8Array {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(JSON.stringify([title, text, chunks]));
  if (vector !== undefined) hash.update(bytesOf(vector));
  return hash.digest();
}
