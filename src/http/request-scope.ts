import { assert } from "../problems.ts";

/** What belongs to one request from its first byte to its log line. */
export interface RequestScope {
  requestId: string;
  /** Engines ended over this request before: see `EngineRequest`. */
  degraded?: boolean;
  /** `traceparent` of what the request causes; undefined where traces are off. */
  traceparent?: string | undefined;
  /** The error that was answered, for the log. */
  error: unknown;
  /** Lets the connection stay silent for as long as the answer takes, or for so many seconds. */
  keepOpen: (seconds?: number) => void;
  /** Counts the request as running until the promise settles: its answer goes on after its handler has returned. */
  runsUntil: (ended: Promise<void>) => void;
}

const scopes = new WeakMap<Request, RequestScope>();

/** Names the scope of a request for the handlers that get the request. */
export function setScope(request: Request, scope: RequestScope): void {
  scopes.set(request, scope);
}

/** The scope of a request that came through the front. */
export function scopeOf(request: Request): RequestScope {
  const scope = scopes.get(request);
  assert(scope !== undefined, "a request has its scope from the front");
  return scope;
}
