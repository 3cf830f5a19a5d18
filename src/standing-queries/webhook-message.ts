import { limits } from "../limits.ts";
import type { LostReason } from "../rooms/stream.ts";
import type { WebhookDelivery } from "../store/stored-query-store.ts";

/** A match as a webhook is told of it: a frame of the live protocol without its envelope. JSON text. */
export function matchBody(frame: string): string {
  const body = `{${frame.slice(frame.indexOf('"offset":'))}`;
  // Whether it was found late is of no use to who hears of it once.
  return body.endsWith(REPLAY) ? `${body.slice(0, -REPLAY.length)}}` : body;
}

/** `{"offset":5,"doc":"…",`: the begin of such a body, which is made by the program. */
const DOCUMENT = /^\{"offset":\d+,"doc":("(?:[^"\\]|\\.)*")/;

/** Id of the document that a match is of; undefined where the body is not of a match. */
export function documentOf(body: string): string | undefined {
  const quoted = DOCUMENT.exec(body)?.[1];
  if (quoted === undefined) return undefined;
  const id: unknown = JSON.parse(quoted);
  return typeof id === "string" ? id : undefined;
}

const REPLAY = ',"replay":true}';

/** Matches between two change numbers are not known. JSON text. */
export function lostBody(lost: { reason: LostReason; after: number; offset: number }): string {
  return JSON.stringify(lost);
}

/**
 * What is sent together of what waits, in order. A batch that failed is sent again as it was, so that its id and its body
 * stay the same.
 */
export function batchOf(waiting: readonly WebhookDelivery[]): readonly WebhookDelivery[] {
  const [first] = waiting;
  if (first === undefined) return [];
  if (first.kind === "lost") return [first];
  let characters = 0;
  const end = waiting.findIndex(({ kind, body, attempts, nextAtMs }, index) => {
    characters += body.length;
    const isOther =
      kind !== "match" ||
      attempts !== first.attempts ||
      (attempts > 0 && nextAtMs !== first.nextAtMs);
    return isOther || (index > 0 && characters > limits.webhookRequestCharactersMax);
  });
  return end === -1 ? waiting : waiting.slice(0, end);
}

export interface MessageSource {
  queryId: string;
  collection: string;
  /** Of the database: ids and offsets of another one mean nothing. */
  epoch: string;
}

/** The body of a request, which is the same whenever the same is sent, and its id. */
export function messageOf(
  batch: readonly WebhookDelivery[],
  { queryId, collection, epoch }: MessageSource,
): { id: string; body: string } {
  const [first] = batch;
  const last = batch.at(-1);
  if (first === undefined || last === undefined) throw new Error("a batch is never empty");
  const id = `msg_${epoch.replaceAll("-", "").slice(0, 12)}_${first.id}_${last.id}`;
  const source = JSON.stringify({ query_id: queryId, collection, epoch }).slice(0, -1);
  const bodies = batch.map(({ body }) => body);
  const [type, content] =
    first.kind === "lost"
      ? ["standing_query.lost", `"lost":${first.body}`]
      : ["standing_query.matched", `"matches":[${bodies.join(",")}]`];
  const timestamp = new Date(last.createdAtMs).toISOString();
  return {
    id,
    body: `{"type":"${type}","timestamp":"${timestamp}","data":${source},${content}}}`,
  };
}
