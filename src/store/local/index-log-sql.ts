import type { ChunkText, IndexChange } from "../store.ts";
import type { Connection } from "./open-database.ts";

/** Entries cut off in one transaction. */
const trimSlice = 5000;

const CHANGES = ["text", "vector", "removed"] as const;

/** The SQL of the index log: what the indexes have to hear of, and what they read to catch up. */
export function indexLogSql({ keep }: Connection) {
  const insert = keep<unknown, [number, number, number, number]>(
    "INSERT INTO index_log (collection_key, sequence, chunk_key, change) VALUES (?, ?, ?, ?)",
  );
  const advance = keep<unknown, [number, number]>(
    "UPDATE collections SET index_sequence = ? WHERE key = ?",
  );
  const state = keep<{ sequence: number; trimmed: number }, [number]>(
    "SELECT index_sequence AS sequence, index_trimmed AS trimmed FROM collections WHERE key = ?",
  );
  const read = keep<{ sequence: number; chunkKey: number; change: number }, number[]>(
    `SELECT sequence, chunk_key AS chunkKey, change FROM index_log
     WHERE collection_key = ? AND sequence > ? ORDER BY sequence LIMIT ?`,
  );
  const trim = keep<unknown, [number, number]>(
    "DELETE FROM index_log WHERE collection_key = ? AND sequence <= ?",
  );
  const setTrimmed = keep<unknown, [number, number]>(
    "UPDATE collections SET index_trimmed = ? WHERE key = ?",
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
    append(
      collectionKey: number,
      sequence: number,
      { chunkKey, change }: { chunkKey: number; change: IndexChange["change"] },
    ): void {
      insert.run(collectionKey, sequence, chunkKey, CHANGES.indexOf(change));
    },
    advance: (collectionKey: number, sequence: number): void => {
      advance.run(sequence, collectionKey);
    },
    state: (collectionKey: number) => state.get(collectionKey) ?? { sequence: 0, trimmed: 0 },
    read: (collectionKey: number, after: number, limit: number): IndexChange[] =>
      read
        .all(collectionKey, after, limit)
        .map((row) => ({ ...row, change: CHANGES[row.change] ?? "removed" })),
    /** Cuts a slice of entries up to `sequence` off; true if more remain. */
    trimSlice(collectionKey: number, sequence: number): boolean {
      const { trimmed } = state.get(collectionKey) ?? { trimmed: sequence };
      const upTo = Math.min(sequence, trimmed + trimSlice);
      if (upTo <= trimmed) return false;
      trim.run(collectionKey, upTo);
      setTrimmed.run(upTo, collectionKey);
      return upTo < sequence;
    },
    texts: (keys: readonly number[]): ChunkText[] => texts.all(JSON.stringify(keys)),
    textKeys: (collectionKey: number, after: number, limit: number): number[] =>
      textKeys.all(collectionKey, after, limit).map((row) => row.key),
    vectorKeys: (collectionKey: number, after: number, limit: number): number[] =>
      vectorKeys.all(collectionKey, after, limit).map((row) => row.key),
  };
}

export type IndexLogSql = ReturnType<typeof indexLogSql>;
