import type {
  StoredQueryRow,
  WaitingDeliveries,
  WebhookDelivery,
  WebhookRow,
} from "../stored-query-store.ts";
import type { Connection } from "./open-database.ts";

interface StoredRow extends Omit<StoredQueryRow, "webhook">, Omit<WebhookRow, "url" | "offset"> {
  url: string | null;
  webhookOffset: number;
}

const ROWS = `SELECT q.id, q.collection_key AS collectionKey, c.name AS collection, q.definition, q.offset,
    q.created_at AS createdAt, w.url, w.secret, w.offset AS webhookOffset, w.delivered, w.given_up AS givenUp,
    w.disabled_at_ms AS disabledAtMs, w.error, w.error_at_ms AS errorAtMs,
    (SELECT count(*) FROM webhook_deliveries d WHERE d.query_id = q.id) AS waiting
  FROM standing_queries q JOIN collections c ON c.key = q.collection_key AND c.name IS NOT NULL
  LEFT JOIN webhooks w ON w.query_id = q.id`;

/** The SQL that reads stored queries and what waits for their webhooks. */
export function storedQueryReadSql({ keep }: Connection) {
  const byId = keep<StoredRow, [string]>(`${ROWS} WHERE q.id = ?`);
  const page = keep<StoredRow, [string, number]>(`${ROWS} WHERE q.id > ? ORDER BY q.id LIMIT ?`);
  const ids = keep<{ id: string }, []>(
    `SELECT q.id FROM standing_queries q JOIN collections c ON c.key = q.collection_key AND c.name IS NOT NULL
     ORDER BY q.id`,
  );
  const waiting = keep<WaitingDeliveries, []>(
    `SELECT query_id AS queryId, count(*) AS count, sum(length(body)) AS characters
     FROM webhook_deliveries GROUP BY query_id`,
  );
  const deliveries = keep<WebhookDelivery, [string, number]>(
    `SELECT id, kind, body, created_at_ms AS createdAtMs, attempts, next_at_ms AS nextAtMs, traceparent,
       tracestate
     FROM webhook_deliveries WHERE query_id = ? ORDER BY id LIMIT ?`,
  );
  return {
    storedQuery: (id: string): StoredQueryRow | undefined => byId.all(id).map(toRow)[0],
    storedQueries: ({ after, limit }: { after: string; limit: number }): StoredQueryRow[] =>
      page.all(after, limit).map(toRow),
    storedQueryIds: (): string[] => ids.all().map(({ id }) => id),
    webhooksWaiting: (): WaitingDeliveries[] => waiting.all(),
    webhookDeliveries: (queryId: string, limit: number): WebhookDelivery[] =>
      deliveries.all(queryId, limit),
  };
}

export type StoredQueryReadSql = ReturnType<typeof storedQueryReadSql>;

function toRow(row: StoredRow): StoredQueryRow {
  const { id, collectionKey, collection, definition, offset, createdAt } = row;
  return { id, collectionKey, collection, definition, offset, createdAt, webhook: webhookOf(row) };
}

function webhookOf({ url, webhookOffset, ...row }: StoredRow): WebhookRow | undefined {
  if (url === null) return undefined;
  const { secret, delivered, givenUp, waiting, disabledAtMs, error, errorAtMs } = row;
  const counts = { offset: webhookOffset, delivered, givenUp, waiting };
  return { url, secret, ...counts, disabledAtMs, error, errorAtMs };
}
