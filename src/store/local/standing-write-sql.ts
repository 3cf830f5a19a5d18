import type { StandingUpdate } from "../standing-store.ts";
import type { Connection } from "./open-database.ts";

type Values = (string | number | null)[];

/** The SQL that writes what is kept for standing queries. Every function is called inside a transaction. */
export function standingWriteSql({ keep }: Connection) {
  const live = keep<unknown, [number]>("SELECT 1 FROM collections WHERE key = ?");
  const putQuery = keep<unknown, Values>(
    `INSERT INTO standing_leaves (query, collection_key, sequence, known_from, used_at_ms)
     VALUES (?1, ?2, ?3, coalesce(?4, 0), ?5)
     ON CONFLICT (query) DO UPDATE SET sequence = excluded.sequence, known_from = coalesce(?4, known_from),
       used_at_ms = excluded.used_at_ms`,
  );
  const putMatch = keep<unknown, Values>(
    `INSERT INTO standing_matches (collection_key, document_id, query, sequence, inside) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET sequence = excluded.sequence, inside = excluded.inside`,
  );
  const forgetLeft = keep<unknown, [string, number]>(
    "DELETE FROM standing_matches WHERE query = ? AND inside = 0 AND sequence <= ?",
  );
  const forgetQueries = keep<unknown, [number]>("DELETE FROM standing_leaves WHERE used_at_ms < ?");
  return {
    keep({ collectionKey, matches, queries, forgetUpTo }: StandingUpdate, nowMs: number): void {
      // The matcher may be a moment behind the drop of a collection.
      if (live.get(collectionKey) === null) return;
      for (const { query, sequence, knownFrom = null } of queries) {
        putQuery.run(query, collectionKey, sequence, knownFrom, nowMs);
        if (forgetUpTo !== undefined) forgetLeft.run(query, forgetUpTo);
      }
      for (const { documentId, query, sequence, inside } of matches) {
        putMatch.run(collectionKey, documentId, query, sequence, inside ? 1 : 0);
      }
    },
    forget: (usedBeforeMs: number): void => void forgetQueries.run(usedBeforeMs),
  };
}

export type StandingWriteSql = ReturnType<typeof standingWriteSql>;
