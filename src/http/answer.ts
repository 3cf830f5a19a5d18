import type { SearchResult } from "../contract/search.ts";
import type { EngineAnswer, EngineRequest } from "../engine/calls.ts";
import { encodeUtf8 } from "../lib/text.ts";
import { withLogContext } from "../telemetry/logs.ts";
import { continueTrace } from "../telemetry/traces.ts";
import type { DirectSearch } from "./direct-search.ts";
import type { Fetch } from "./front.ts";
import { setScope, type RequestScope } from "./request-scope.ts";

/**
 * Answers requests that another process has taken from its socket: searches directly, and what is not a search, or not a
 * good one, by the app.
 */
export function createAnswerer(
  fetch: Fetch,
  search: DirectSearch = () => undefined,
): (request: EngineRequest) => Promise<EngineAnswer> {
  const answer = async (request: EngineRequest): Promise<EngineAnswer> => {
    const found = await search(request);
    return found === undefined ? answerByApp(fetch, request) : finished(found);
  };
  return (request) =>
    withLogContext({ request_id: request.requestId }, () => {
      const { traceparent } = request;
      return continueTrace({ traceparent, name: "engine" }, () => answer(request));
    });
}

/** The answer of a search. */
export function finished(found: SearchResult): EngineAnswer {
  const body = encodeUtf8(JSON.stringify(found));
  const contentType = "application/json;charset=utf-8";
  return { status: 200, contentType, body, retryAfter: null, error: undefined };
}

async function answerByApp(
  fetch: Fetch,
  { method, target, contentType, body, requestId, degraded = false }: EngineRequest,
): Promise<EngineAnswer> {
  const request = new Request(`http://engine${target}`, {
    method,
    ...(contentType === null ? {} : { headers: { "content-type": contentType } }),
    ...(body === null ? {} : { body: new Uint8Array(body) }),
  });
  const scope: RequestScope = {
    requestId,
    degraded,
    error: undefined,
    keepOpen: () => {},
    runsUntil: () => {},
  };
  setScope(request, scope);
  const response = await fetch(request);
  return {
    status: response.status,
    contentType: response.headers.get("content-type") ?? "application/json",
    body: await response.bytes(),
    retryAfter: response.headers.get("retry-after"),
    error: response.status >= 500 ? shownError(scope.error) : undefined,
  };
}

function shownError(error: unknown): EngineAnswer["error"] {
  return error instanceof Error
    ? { type: error.name, message: error.message, stack: error.stack }
    : { type: "unknown", message: String(error), stack: undefined };
}
