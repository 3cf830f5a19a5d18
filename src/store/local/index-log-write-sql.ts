import type { IndexChange } from "../store.ts";
import { CHANGES } from "./index-log-changes.ts";
import type { Connection } from "./open-database.ts";

/** Entries cut off in one transaction. */
const trimSlice = 5000;

/** The SQL that writes the index log: what the indexes have to hear of. Called inside a transaction. */
export function indexLogWriteSql({ keep }: Connection) {
  const insert = keep<unknown, [number, number, number, number]>(
    "INSERT INTO index_log (collection_key, sequence, chunk_key, change) VALUES (?, ?, ?, ?)",
  );
  const trimmedAt = keep<{ trimmed: number }, [number]>(
    "SELECT index_trimmed AS trimmed FROM collections WHERE key = ?",
  );
  const trim = keep<unknown, [number, number]>(
    "DELETE FROM index_log WHERE collection_key = ? AND sequence <= ?",
  );
  const setTrimmed = keep<unknown, [number, number]>(
    "UPDATE collections SET index_trimmed = ? WHERE key = ?",
  );
  return {
    append(
      collectionKey: number,
      sequence: number,
      { chunkKey, change }: { chunkKey: number; change: IndexChange["change"] },
    ): void {
      insert.run(collectionKey, sequence, chunkKey, CHANGES.indexOf(change));
    },
    /** Cuts a slice of entries up to `sequence` off; true if more remain. */
    trimSlice(collectionKey: number, sequence: number): boolean {
      const { trimmed } = trimmedAt.get(collectionKey) ?? { trimmed: sequence };
      const upTo = Math.min(sequence, trimmed + trimSlice);
      if (upTo <= trimmed) return false;
      trim.run(collectionKey, upTo);
      setTrimmed.run(upTo, collectionKey);
      return upTo < sequence;
    },
  };
}

export type IndexLogWriteSql = ReturnType<typeof indexLogWriteSql>;
