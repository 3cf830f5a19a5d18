import { limits } from "../../limits.ts";
import type { StandingUpdate } from "../standing-store.ts";
import type { Connection } from "./open-database.ts";

type Values = (string | number | null)[];

/** Rows removed in one transaction: a few milliseconds. */
const FORGET_SLICE = 2000;

/** The SQL that writes what is kept for standing queries. Every function is called inside a transaction. */
export function standingWriteSql(connection: Connection) {
  const { keep } = connection;
  const live = keep<unknown, [number]>(
    "SELECT 1 FROM collections WHERE key = ? AND name IS NOT NULL",
  );
  const putQuery = keep<unknown, Values>(
    `INSERT INTO standing_leaves (query, collection_key, sequence, known_from, used_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (query) DO UPDATE SET sequence = excluded.sequence, known_from = excluded.known_from,
       used_at_ms = excluded.used_at_ms`,
  );
  const moveQuery = keep<unknown, Values>(
    "UPDATE standing_leaves SET sequence = ?, used_at_ms = ? WHERE query = ?",
  );
  // Of a query that was forgotten nothing is kept: it would be a part of what it matches.
  const putMatch = keep<unknown, Values>(
    `INSERT INTO standing_matches (collection_key, document_id, query, sequence, inside)
     SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM standing_leaves WHERE query = ?3)
     ON CONFLICT DO UPDATE SET sequence = excluded.sequence, inside = excluded.inside`,
  );
  const forgetLeft = keep<unknown, [string, number]>(
    "DELETE FROM standing_matches WHERE query = ? AND inside = 0 AND sequence <= ?",
  );
  return {
    keep({ collectionKey, matches, queries, forgetUpTo }: StandingUpdate, nowMs: number): void {
      // The matcher may be a moment behind the drop of a collection.
      if (live.get(collectionKey) === null) return;
      for (const { query, sequence, knownFrom } of queries) {
        if (knownFrom === undefined) moveQuery.run(sequence, nowMs, query);
        else putQuery.run(query, collectionKey, sequence, knownFrom, nowMs);
        if (forgetUpTo !== undefined) forgetLeft.run(query, forgetUpTo);
      }
      for (const { documentId, query, sequence, inside } of matches) {
        putMatch.run(collectionKey, documentId, query, sequence, inside ? 1 : 0);
      }
    },
    forgetSlice: forgetSql(connection),
  };
}

export type StandingWriteSql = ReturnType<typeof standingWriteSql>;

/** Removes a slice of what a query has that nobody asked for in long. False when there is none. */
function forgetSql({ keep }: Connection) {
  const oldest = keep<{ query: string }, [number, string, number]>(
    `SELECT query FROM standing_leaves
     WHERE (used_at_ms < ? OR (SELECT count(*) FROM standing_leaves) > ?3) AND query NOT IN (SELECT value FROM json_each(?2))
     ORDER BY used_at_ms LIMIT 1`,
  );
  // From the first slice on its rows are not all there: who asks for it again begins anew.
  const spoil = keep<unknown, [string]>("UPDATE standing_leaves SET sequence = -1 WHERE query = ?");
  const removeRows = keep<unknown, [string]>(
    `DELETE FROM standing_matches WHERE (collection_key, document_id, query) IN
       (SELECT collection_key, document_id, query FROM standing_matches WHERE query = ? LIMIT ${FORGET_SLICE})`,
  );
  const removeQuery = keep<unknown, [string]>("DELETE FROM standing_leaves WHERE query = ?");
  return ({
    usedBeforeMs,
    except,
  }: {
    usedBeforeMs: number;
    except: readonly string[];
  }): boolean => {
    const found = oldest.get(
      usedBeforeMs,
      JSON.stringify(except),
      limits.standingLeaveQueriesKeptMax,
    );
    if (found === null) return false;
    spoil.run(found.query);
    if (removeRows.run(found.query).changes < FORGET_SLICE) removeQuery.run(found.query);
    return true;
  };
}
