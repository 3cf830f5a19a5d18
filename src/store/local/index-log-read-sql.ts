import type { ChunkText, IndexChange } from "../store.ts";
import { CHANGES } from "./index-log-changes.ts";
import type { Connection } from "./open-database.ts";

/** A page of a collection's numbers: those after one, at most so many. */
interface Page {
  after: number;
  limit: number;
}

/** The SQL of what indexes read to catch up: their log, and texts by chunk. */
export function indexLogReadSql({ keep }: Connection) {
  const state = keep<{ sequence: number; trimmed: number }, [number]>(
    "SELECT index_sequence AS sequence, index_trimmed AS trimmed FROM collections WHERE key = ?",
  );
  const read = keep<{ sequence: number; chunkKey: number; change: number }, number[]>(
    `SELECT sequence, chunk_key AS chunkKey, change FROM index_log
     WHERE collection_key = ? AND sequence > ? ORDER BY sequence LIMIT ?`,
  );
  const texts = keep<ChunkText, [string]>(
    `SELECT c.key, d.title, c.text FROM chunks c JOIN documents d ON d.key = c.document_key
     WHERE c.key IN (SELECT value FROM json_each(?))`,
  );
  const textKeys = keep<{ key: number }, number[]>(
    `SELECT c.key FROM chunks c JOIN documents d ON d.key = c.document_key
     WHERE c.collection_key = ? AND c.key > ? AND (c.text IS NOT NULL OR d.title IS NOT NULL)
     ORDER BY c.key LIMIT ?`,
  );
  const vectorKeys = keep<{ key: number }, number[]>(
    "SELECT key FROM chunks WHERE collection_key = ? AND key > ? AND state = 1 ORDER BY key LIMIT ?",
  );
  return {
    state: (collectionKey: number) => state.get(collectionKey) ?? { sequence: 0, trimmed: 0 },
    read: (collectionKey: number, { after, limit }: Page): IndexChange[] =>
      read
        .all(collectionKey, after, limit)
        .map((row) => ({ ...row, change: CHANGES[row.change] ?? "removed" })),
    keys: (
      collectionKey: number,
      { what, after, limit }: Page & { what: "text" | "vector" },
    ): number[] =>
      (what === "text" ? textKeys : vectorKeys)
        .all(collectionKey, after, limit)
        .map((row) => row.key),
    texts: (keys: readonly number[]): ChunkText[] => texts.all(JSON.stringify(keys)),
  };
}
