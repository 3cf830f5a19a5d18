import { Problem } from "../problems.ts";
import { getLogger, withLogContext } from "../telemetry/logs.ts";
import { limits } from "../limits.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { problemResponse } from "./problem-response.ts";
import { targetOf } from "./request-target.ts";
import { setScope, type RequestScope } from "./request-scope.ts";

const log = getLogger("http");

/** What the front needs to know of the socket; absent where a request comes from this process. */
export interface Connection {
  requestIP(request: Request): { address: string } | null;
  timeout(request: Request, seconds: number): void;
}

export type Fetch = (request: Request) => Promise<Response> | Response;

const REQUEST_ID = /^[A-Za-z0-9._-]+$/;

/**
 * The one wrapper around the app: request id, log context, timing, the request's log lines, refusal while draining. It
 * stands outside the framework, where it costs a microsecond and sees requests that no route takes.
 */
export function createFront(fetch: Fetch, lifecycle: Lifecycle) {
  let running = 0;
  let idle: (() => void) | undefined;
  const begin = (): void => {
    running++;
  };
  const end = (): void => {
    running--;
    if (running === 0) idle?.();
  };
  const answer = async (
    request: Request,
    connection: Connection | undefined,
  ): Promise<Response> => {
    const start = performance.now();
    const scope = openScope(request, connection);
    scope.runsUntil = (ended) => {
      begin();
      void ended.finally(end);
    };
    return withLogContext({ request_id: scope.requestId }, async () => {
      const { path, query } = targetOf(request);
      log.info("request_started", () => ({
        method: request.method,
        path,
        client_ip: connection?.requestIP(request)?.address ?? null,
        query_params: shownQuery(query),
        user_agent: request.headers.get("user-agent"),
      }));
      const response = await respond({ fetch, lifecycle, scope, path }, request);
      response.headers.set("x-request-id", scope.requestId);
      logEnd({ request, path, response, scope, start });
      return response;
    });
  };
  return {
    async handle(request: Request, connection?: Connection): Promise<Response> {
      begin();
      try {
        return await answer(request, connection);
      } finally {
        end();
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

function openScope(request: Request, connection: Connection | undefined): RequestScope {
  const given = request.headers.get("x-request-id");
  const valid =
    given !== null && given.length <= limits.requestIdBytesMax && REQUEST_ID.test(given);
  const scope: RequestScope = {
    requestId: valid ? given : crypto.randomUUID(),
    error: undefined,
    keepOpen: () => connection?.timeout(request, 0),
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
}

async function respond(
  { fetch, lifecycle, scope, path }: Handling,
  request: Request,
): Promise<Response> {
  if (lifecycle.state === "draining" && !path.startsWith("/health/")) {
    const problem = new Problem("not_ready", "The server is stopping.", { retryAfterMs: 1000 });
    const response = problemResponse(problem, scope.requestId, path);
    response.headers.set("connection", "close");
    return response;
  }
  try {
    if (request.method === "HEAD") return await withoutBody(fetch, request, scope);
    return await fetch(request);
  } catch (error) {
    scope.error = error;
    return problemResponse(
      new Problem("internal", "Unexpected failure.", { cause: error }),
      scope.requestId,
      path,
    );
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

interface Ended {
  request: Request;
  path: string;
  response: Response;
  scope: RequestScope;
  start: number;
}

function logEnd({ request, path, response, scope, start }: Ended): void {
  const duration_ms = Math.round((performance.now() - start) * 100) / 100;
  const base = { method: request.method, path, status_code: response.status, duration_ms };
  if (response.status < 500) {
    log.info("request_completed", base);
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
