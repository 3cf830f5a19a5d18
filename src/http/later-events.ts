import { RETRY_LINE } from "./event-text.ts";

/**
 * What a browser's reader of events gets from a server that starts or stops: it gives up for good on any status but 200, so
 * it is told to come back. Undefined for every other request.
 */
export function laterEvents(request: Request): Response | undefined {
  if (request.headers.get("accept")?.includes("text/event-stream") !== true) return undefined;
  const headers = { "content-type": "text/event-stream; charset=utf-8", connection: "close" };
  return new Response(`${RETRY_LINE}\n`, { headers });
}
