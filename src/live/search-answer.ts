import type { LiveFrame, LiveRequest } from "../contract/live.ts";
import type { SearchRequest, SearchResult } from "../contract/search.ts";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { Socket } from "./connection.ts";
import type { LiveFeatures } from "./features.ts";
import type { Outbox } from "./outbox.ts";

/** A search that somebody waits for. */
export interface Asked {
  readonly request: LiveRequest<"search">;
  /** Nobody waits any more: what it finds is not sent. */
  cancelled: boolean;
}

type Part = LiveFrame<"results">["part"];

/** Runs a search and sends what it finds, where asked for by words alone first. Never rejects. */
export function createSearchAnswer(
  search: LiveFeatures["search"],
  outbox: Outbox,
): (ws: Socket, asked: Asked) => Promise<void> {
  const sendPart = async (ws: Socket, asked: Asked, part: Part): Promise<void> => {
    if (asked.cancelled) return;
    const { request } = asked;
    const result = await search(request.collection, toSearch(request, part));
    await outbox.writable(ws);
    if (!asked.cancelled) outbox.sendText(ws, toText(request, part, result));
  };
  return async (ws, asked) => {
    const { id, parts, mode } = asked.request;
    try {
      if (parts === true && mode !== "keyword") await sendPart(ws, asked, "keyword");
      await sendPart(ws, asked, "final");
    } catch (error) {
      if (!asked.cancelled) outbox.fail(ws, { id }, error);
    }
  };
}

/** A live search as any other one. */
function toSearch(request: LiveRequest<"search">, part: Part): SearchRequest {
  const { query, limit, stream, filter, min_score, highlight, fields, query_encoder, typo } =
    request;
  const mode = part === "keyword" ? part : request.mode;
  return {
    query,
    // Who types has not finished the last word.
    prefix: request.prefix ?? stream !== undefined,
    ...(mode === undefined ? {} : { mode }),
    ...(limit === undefined ? {} : { k: limit }),
    ...(filter === undefined ? {} : { filter }),
    ...(min_score === undefined ? {} : { min_score }),
    ...(highlight === undefined ? {} : { highlight }),
    ...(fields === undefined ? {} : { fields }),
    ...(query_encoder === undefined ? {} : { query_encoder }),
    ...(typo === undefined ? {} : { typo }),
  };
}

/** @throws Problem `too_large` */
function toText({ id, stream }: LiveRequest<"search">, part: Part, result: SearchResult): string {
  const { hits, took_ms, model, degraded } = result;
  const frame: LiveFrame<"results"> = {
    type: "results",
    id,
    ...(stream === undefined ? {} : { stream }),
    part,
    final: part === "final",
    hits,
    took_ms,
    model,
    ...(degraded === undefined ? {} : { degraded }),
  };
  const text = JSON.stringify(frame);
  if (utf8Bytes(text) <= limits.liveReplyBytesMax) return text;
  throw new Problem(
    "too_large",
    `The hits are larger than ${limits.liveReplyBytesMax} bytes: ask for fewer, or for fewer fields.`,
  );
}
