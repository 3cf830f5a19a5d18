/** When a reader of events comes back to a server that starts or stops. */
const RETRY_MS = 2000;

/**
 * What a browser's reader of events gets from a server that starts or stops: it gives up for good on any status but 200, so
 * it is told to come back. Undefined for every other request.
 */
export function laterEvents(request: Request): Response | undefined {
  if (request.headers.get("accept")?.includes("text/event-stream") !== true) return undefined;
  const headers = { "content-type": "text/event-stream; charset=utf-8", connection: "close" };
  return new Response(`retry: ${RETRY_MS}\n\n`, { headers });
}
