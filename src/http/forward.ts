import type { EngineAnswer } from "../engine/calls.ts";
import type { ChildEngines } from "../engine/child-engines.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { finished } from "./answer.ts";
import type { DirectSearch } from "./direct-search.ts";
import type { Fetch } from "./front.ts";
import { problemResponse } from "./problem-response.ts";
import { readBytes, requireIdentity } from "./read-body.ts";
import { targetOf } from "./request-target.ts";
import { scopeOf } from "./request-scope.ts";

/** What engines answer: all that takes a millisecond, or reads more than a row. */
const QUERY_PATH = /^\/api\/v1\/(?:collections\/[^/]+\/search|search\/multi)\/?$/;
const LIST_PATH = /^\/api\/v1\/collections\/[^/]+\/documents\/?$/;
const EMBEDDINGS_PATH = /^\/v1\/embeddings\/?$/;

/** A body of embeddings that a query engine takes: a few texts. Larger ones would hold queries up. */
const smallBodyBytes = 4096;

interface Forward {
  engines: Pick<ChildEngines, "answer">;
  fetch: Fetch;
  /** Answers here what is sooner done here than sent. */
  search?: DirectSearch | undefined;
}

/** Sends requests that take computing to the engines, as they came, and everything else to `fetch`. */
export function createForward({ fetch, ...deps }: Forward): Fetch {
  return (request) => {
    const { target, path } = targetOf(request);
    if (!isForEngines(request.method, path)) return fetch(request);
    return forward(deps, request, { target, path });
  };
}

function isForEngines(method: string, path: string): boolean {
  if (method === "GET") return QUERY_PATH.test(path) || LIST_PATH.test(path);
  return method === "POST" && (QUERY_PATH.test(path) || EMBEDDINGS_PATH.test(path));
}

async function forward(
  { engines, search }: Omit<Forward, "fetch">,
  request: Request,
  { target, path }: { target: string; path: string },
): Promise<Response> {
  const scope = scopeOf(request);
  const { requestId } = scope;
  try {
    requireIdentity(request);
    const body = request.body === null ? null : await readBytes(request, limits.jsonBodyBytesMax);
    const background = EMBEDDINGS_PATH.test(path) && (body?.byteLength ?? 0) > smallBodyBytes;
    const contentType = request.headers.get("content-type");
    const { method } = request;
    const { traceparent } = scope;
    const asked = { method, target, contentType, body, requestId, traceparent };
    const found = await search?.(asked);
    if (found !== undefined) return toResponse(finished(found), scope);
    return toResponse(await engines.answer(asked, { background }), scope);
  } catch (error) {
    scope.error = error;
    const problem =
      error instanceof Problem
        ? error
        : new Problem("internal", "Unexpected failure.", { cause: error });
    return problemResponse(problem, requestId, path);
  }
}

function toResponse(
  { status, contentType, body, retryAfter, error }: EngineAnswer,
  scope: { error: unknown },
): Response {
  if (error !== undefined) {
    scope.error = Object.assign(new Error(error.message), { name: error.type, stack: error.stack });
  }
  const length = String(body.byteLength);
  const headers = new Headers({ "content-type": contentType, "content-length": length });
  if (retryAfter !== null) headers.set("retry-after", retryAfter);
  return new Response(new Uint8Array(body), { status, headers });
}
