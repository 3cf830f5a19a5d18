/** Headers of an answer that a page may read beside the few that the Fetch standard lets it. */
const EXPOSED = "x-request-id, retry-after, traceresponse";

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";

/** Headers of ours that a page may send. */
const HEADERS =
  "authorization, content-type, idempotency-key, last-event-id, traceparent, tracestate, x-api-key, x-request-id";

/** How long a browser remembers the answer to a preflight. */
const PREFLIGHT_SECONDS = 600;

/** Lets pages of other origins call the API (Fetch standard, CORS protocol). No cookies: nobody is known by one. */
export interface Cors {
  /** The answer to a preflight; undefined for any other request. */
  preflight(request: Request): Response | undefined;
  /** Marks an answer, whatever its status. */
  mark(request: Request, headers: Headers): void;
}

/** `origins` are those that may, `*` means all. */
export function createCors(origins: readonly string[]): Cors {
  const isAny = origins.includes("*");
  const known = new Set(origins);
  const allows = (origin: string): boolean => isAny || known.has(origin);
  return {
    preflight(request) {
      if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method"))
        return undefined;
      const origin = request.headers.get("origin");
      if (origin === null) return undefined;
      // Without the headers below a browser sends nothing more.
      if (!allows(origin)) return new Response(null, { status: 204 });
      const headers = {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": HEADERS,
        "access-control-max-age": String(PREFLIGHT_SECONDS),
      };
      return new Response(null, { status: 204, headers });
    },
    mark(request, headers) {
      if (known.size === 0) return;
      if (!isAny) headers.append("vary", "origin");
      const origin = request.headers.get("origin");
      if (origin === null || !allows(origin)) return;
      headers.set("access-control-allow-origin", isAny ? "*" : origin);
      headers.set("access-control-expose-headers", EXPOSED);
    },
  };
}
