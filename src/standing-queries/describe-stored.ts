import { isObject } from "../lib/is-object.ts";
import type { StandingQueryDetails } from "../contract/standing-queries.ts";
import type { StoredQueryRow, WebhookRow } from "../store/stored-query-store.ts";
import { parseDefinition } from "./stored-definition.ts";

export interface StoredState {
  epoch: string;
  opened: { sub: string | null; error: string | null };
}

/** A stored query as it is shown, without its secret. */
export function describeStored(
  row: StoredQueryRow,
  { epoch, opened }: StoredState,
): StandingQueryDetails {
  const { text, mode, min_score, filter, on, fields } = parseDefinition(
    row.definition,
    row.collection,
  );
  return {
    id: row.id,
    collection: row.collection,
    text,
    mode,
    min_score,
    ...(isObject(filter) ? { filter } : {}),
    on: [...on],
    fields: [...fields],
    epoch,
    offset: row.offset,
    stream: opened.sub,
    error: opened.error,
    created_at: row.createdAt,
    webhook: row.webhook === undefined ? null : describeWebhook(row.webhook),
  };
}

function describeWebhook(row: WebhookRow): NonNullable<StandingQueryDetails["webhook"]> {
  const { url, offset, waiting, delivered, givenUp, disabledAtMs, error, errorAtMs } = row;
  return {
    url,
    offset,
    waiting,
    delivered,
    given_up: givenUp,
    disabled_at: disabledAtMs === null ? null : new Date(disabledAtMs).toISOString(),
    last_error:
      error === null || errorAtMs === null
        ? null
        : { at: new Date(errorAtMs).toISOString(), message: error },
  };
}
