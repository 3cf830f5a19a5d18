import { limits } from "../../limits.ts";
import { assert, Problem } from "../../problems.ts";
import type {
  NewStoredQuery,
  QueuedDeliveries,
  SettledDeliveries,
  StoredQueryRow,
} from "../stored-query-store.ts";
import type { Connection } from "./open-database.ts";
import type { StoredQueryReadSql } from "./stored-query-read-sql.ts";

type Values = (string | number | null)[];

/** The SQL that writes stored queries and their deliveries. Every function is called inside a transaction. */
export function storedQueryWriteSql(
  connection: Connection,
  read: Pick<StoredQueryReadSql, "storedQuery">,
) {
  const { keep } = connection;
  const count = keep<{ count: number }, []>("SELECT count(*) AS count FROM standing_queries");
  const live = keep<unknown, [number]>(
    "SELECT 1 FROM collections WHERE key = ? AND name IS NOT NULL",
  );
  const insert = keep<unknown, Values>(
    "INSERT INTO standing_queries (id, collection_key, definition, offset, created_at) VALUES (?, ?, ?, ?, ?)",
  );
  const insertWebhook = keep<unknown, Values>(
    "INSERT INTO webhooks (query_id, url, secret, offset) VALUES (?, ?, ?, ?)",
  );
  const remove = keep<unknown, [string]>("DELETE FROM standing_queries WHERE id = ?");
  return {
    add({ id, collectionKey, definition, offset, webhook }: NewStoredQuery, createdAt: string) {
      if ((count.get()?.count ?? 0) >= limits.storedQueriesMax) {
        throw new Problem(
          "limit_reached",
          `There are ${limits.storedQueriesMax} stored standing queries already.`,
        );
      }
      if (live.get(collectionKey) === null)
        throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
      insert.run(id, collectionKey, definition, offset, createdAt);
      if (webhook !== undefined) insertWebhook.run(id, webhook.url, webhook.secret, offset);
      return required(read.storedQuery(id));
    },
    remove: (id: string): boolean => remove.run(id).changes > 0,
    queue: queueSql(connection),
    settle: settleSql(connection),
  };
}

export type StoredQueryWriteSql = ReturnType<typeof storedQueryWriteSql>;

function queueSql({ keep }: Connection) {
  // Nothing is put into the queue twice, and nothing is left out, whatever became of an earlier call's answer.
  const move = keep<unknown, Values>(
    "UPDATE webhooks SET offset = ?3 WHERE query_id = ?1 AND offset = ?2 AND disabled_at_ms IS NULL",
  );
  const insert = keep<unknown, Values>(
    `INSERT INTO webhook_deliveries (query_id, kind, body, created_at_ms, next_at_ms, traceparent, tracestate)
     VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)`,
  );
  return (queued: readonly QueuedDeliveries[], atMs: number): boolean[] =>
    queued.map(({ queryId, after, offset, deliveries }) => {
      if (move.run(queryId, after, offset).changes === 0) return false;
      for (const { kind, body, trace } of deliveries) {
        const { traceparent = null, tracestate = null } = trace ?? {};
        insert.run(queryId, kind, body, atMs, traceparent, tracestate);
      }
      return true;
    });
}

function settleSql({ keep }: Connection) {
  const remove = keep<unknown, [string, number]>(
    "DELETE FROM webhook_deliveries WHERE query_id = ? AND id <= ?",
  );
  const later = keep<unknown, Values>(
    "UPDATE webhook_deliveries SET attempts = attempts + 1, next_at_ms = ?3 WHERE query_id = ?1 AND id <= ?2",
  );
  const succeeded = keep<unknown, Values>(
    "UPDATE webhooks SET delivered = delivered + ?2, error = NULL, error_at_ms = NULL WHERE query_id = ?1",
  );
  const failed = keep<unknown, Values>(
    "UPDATE webhooks SET given_up = given_up + ?2, error = ?3, error_at_ms = ?4 WHERE query_id = ?1",
  );
  const disable = keep<unknown, Values>(
    "UPDATE webhooks SET disabled_at_ms = ?2 WHERE query_id = ?1",
  );
  return (queryId: string, settled: SettledDeliveries): void => {
    const { upTo, atMs } = settled;
    switch (settled.kind) {
      case "delivered":
        succeeded.run(queryId, remove.run(queryId, upTo).changes);
        return;
      case "retry":
        later.run(queryId, upTo, settled.nextAtMs);
        failed.run(queryId, 0, settled.error, atMs);
        return;
      case "given_up":
        failed.run(queryId, remove.run(queryId, upTo).changes, settled.error, atMs);
        return;
      case "disabled": {
        const { changes } = remove.run(queryId, Number.MAX_SAFE_INTEGER);
        failed.run(queryId, changes, settled.error, atMs);
        disable.run(queryId, atMs);
        return;
      }
      default:
        settled satisfies never;
    }
  };
}

function required(row: StoredQueryRow | undefined): StoredQueryRow {
  assert(row !== undefined, "a query that was written is there");
  return row;
}
