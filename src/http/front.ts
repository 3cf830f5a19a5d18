import { Problem } from "../problems.ts";
import { createQuickLine, getLogger, withLogContext } from "../telemetry/logs.ts";
import { metrics } from "../telemetry/metrics.ts";
import { traceFields } from "../telemetry/trace-context.ts";
import { beginRequest, type RequestSpan, type RequestStart } from "../telemetry/traces.ts";
import { isOperations, type Edge } from "./edge.ts";
import { laterEvents } from "./later-events.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { problemResponse } from "./problem-response.ts";
import { requestIdOf } from "./request-id.ts";
import { countActive, countRequest } from "./request-numbers.ts";
import { targetOf } from "./request-target.ts";
import { UNMATCHED, type RouteOf } from "./route-templates.ts";
import { setScope, type RequestScope } from "./request-scope.ts";

const log = getLogger("http");
const logStarted = createQuickLine("http", "request_started");
const logCompleted = createQuickLine("http", "request_completed");

/** What the front needs to know of the socket; absent where a request comes from this process. */
export interface Connection {
  requestIP(request: Request): { address: string } | null;
  timeout(request: Request, seconds: number): void;
}

export type Fetch = (request: Request) => Promise<Response> | Response;

export interface FrontOptions {
  routeOf?: RouteOf;
  /** Absent where requests come from this process. */
  edge?: Edge | undefined;
}

/**
 * The one wrapper around the app: request id, log context, timing, the request's log lines, its numbers and its span,
 * refusal while draining. It stands outside the framework, where it costs a microsecond and sees requests that no route
 * takes. `routeOf` names them in numbers and spans.
 */
export function createFront(
  fetch: Fetch,
  lifecycle: Lifecycle,
  { routeOf = () => UNMATCHED, edge }: FrontOptions = {},
) {
  let running = 0;
  let idle: (() => void) | undefined;
  const enter = (): void => {
    running++;
    countActive(1);
  };
  const leave = (): void => {
    running--;
    countActive(-1);
    if (running === 0) idle?.();
  };
  const answer = async (
    request: Request,
    connection: Connection | undefined,
  ): Promise<Response> => {
    const start = performance.now();
    const scope = openScope(request, connection);
    scope.runsUntil = (ended) => {
      enter();
      void ended.finally(leave);
    };
    const { path, query } = targetOf(request);
    const route = routeOf(path);
    const span = beginSpan(request, { route, path, scope, startMs: start });
    const fields = contextOf(scope);
    return withLogContext(fields, async () => {
      const client = clientOf(request, connection, edge);
      logBegin(request, { path, query, client, fields });
      const work = () => respond({ fetch, lifecycle, scope, path, edge, client }, request);
      const answered = await (span === undefined ? work() : span.run(work));
      const response = edge === undefined ? answered : await edge.after(request, answered);
      const endMs = performance.now();
      end({ request, path, route, response, scope, span, fields, startMs: start, endMs });
      return response;
    });
  };
  return {
    async handle(request: Request, connection?: Connection): Promise<Response> {
      enter();
      try {
        return await answer(request, connection);
      } finally {
        leave();
      }
    },
    /** Resolves when no request runs, or after `timeoutMs`; true if none does. */
    async drained(timeoutMs: number): Promise<boolean> {
      if (running === 0) return true;
      const { promise, resolve } = Promise.withResolvers<void>();
      idle = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
      return running === 0;
    },
  };
}

export type Front = ReturnType<typeof createFront>;

/** What every log line of a request bears. */
function contextOf({ requestId, traceparent }: RequestScope): Record<string, string> {
  return traceparent === undefined
    ? { request_id: requestId }
    : { request_id: requestId, ...traceFields(traceparent) };
}

/** The client's address, found once it is wanted. */
function clientOf(
  request: Request,
  connection: Connection | undefined,
  edge: Edge | undefined,
): () => string | null {
  return () => {
    const peer = connection?.requestIP(request)?.address ?? null;
    return edge === undefined ? peer : edge.clientAddress(request, peer);
  };
}

function openScope(request: Request, connection: Connection | undefined): RequestScope {
  const scope: RequestScope = {
    requestId: requestIdOf(request),
    error: undefined,
    keepOpen: (seconds = 0) => connection?.timeout(request, seconds),
    runsUntil: () => {},
  };
  setScope(request, scope);
  return scope;
}

interface Handling {
  fetch: Fetch;
  lifecycle: Lifecycle;
  scope: RequestScope;
  path: string;
  edge: Edge | undefined;
  client: () => string | null;
}

async function respond(
  { fetch, lifecycle, scope, path, edge, client }: Handling,
  request: Request,
): Promise<Response> {
  if (lifecycle.state === "draining" && !isOperations(path)) {
    const later = laterEvents(request);
    if (later !== undefined) return later;
    const problem = new Problem("not_ready", "The server is stopping.", { retryAfterMs: 1000 });
    const response = problemResponse(problem, scope.requestId, path);
    response.headers.set("connection", "close");
    return response;
  }
  try {
    const early = edge?.before(request, path, client);
    if (early !== undefined) return early;
    if (request.method === "HEAD") return await withoutBody(fetch, request, scope);
    return await fetch(request);
  } catch (error) {
    scope.error = error;
    const problem =
      error instanceof Problem
        ? error
        : new Problem("internal", "Unexpected failure.", { cause: error });
    return problemResponse(problem, scope.requestId, path);
  }
}

/** HEAD is GET without its body (RFC 9110, section 9.3.2). */
async function withoutBody(fetch: Fetch, request: Request, scope: RequestScope): Promise<Response> {
  const get = new Request(request.url, { method: "GET", headers: request.headers });
  setScope(get, scope);
  const response = await fetch(get);
  await response.body?.cancel();
  return new Response(null, { status: response.status, headers: response.headers });
}

function beginSpan(
  { method, headers }: Request,
  {
    route,
    path,
    scope,
    startMs,
  }: { scope: RequestScope } & Pick<RequestStart, "route" | "path" | "startMs">,
): RequestSpan | undefined {
  const { requestId } = scope;
  const span = beginRequest(() => ({ method, route, path, requestId, headers, startMs }));
  scope.traceparent = span?.traceparent;
  return span;
}

interface Begun {
  path: string;
  query: string;
  client: () => string | null;
  /** The log context: of the request, and of its trace. */
  fields: Record<string, string>;
}

function logBegin(request: Request, { path, query, client, fields }: Begun): void {
  logStarted(() => ({
    ...fields,
    method: request.method,
    path,
    client_ip: client(),
    query_params: shownQuery(query),
    user_agent: request.headers.get("user-agent"),
  }));
}

interface Ended {
  request: Request;
  path: string;
  route: string;
  response: Response;
  scope: RequestScope;
  span: RequestSpan | undefined;
  fields: Record<string, string>;
  startMs: number;
  endMs: number;
}

/** What is said and kept of a request once its answer begins. */
function end(ended: Ended): void {
  const { request, route, response, scope, span, startMs, endMs } = ended;
  const { status } = response;
  response.headers.set("x-request-id", scope.requestId);
  if (metrics.enabled) countRequest({ route, method: request.method }, status, endMs - startMs);
  if (span !== undefined) {
    response.headers.set("traceresponse", span.traceparent);
    span.end({ status, error: scope.error, endMs });
  }
  logEnd(ended);
}

function logEnd(ended: Ended): void {
  const { request, path, response, scope, fields, startMs, endMs } = ended;
  const duration_ms = Math.round((endMs - startMs) * 100) / 100;
  const base = { method: request.method, path, status_code: response.status, duration_ms };
  if (response.status < 500) {
    logCompleted(() => ({ ...fields, ...base }));
    return;
  }
  const { error } = scope;
  const [type, message, stack] =
    error instanceof Error
      ? [error.name, error.message, error.stack]
      : ["unknown", String(error), undefined];
  log.error("request_failed", { ...base, error_type: type, error_message: message, stack, error });
}

/** Names and values, but for what people search for: that is theirs. */
function shownQuery(query: string): Record<string, string> {
  const shown: Record<string, string> = {};
  if (query === "") return shown;
  for (const [name, value] of new URLSearchParams(query))
    shown[name] = name === "q" || name === "filter" ? "***" : value;
  return shown;
}
