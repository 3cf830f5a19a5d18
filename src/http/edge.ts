import type { Config } from "../config.ts";
import { createClientAddress, type ClientAddress } from "./client-address.ts";
import { compressed } from "./compress.ts";
import { createCors } from "./cors.ts";
import { createRateLimit } from "./rate-limit.ts";

/** What stands between the network and the app, for all requests alike. */
export interface Edge {
  clientAddress: ClientAddress;
  /** An answer that needs no app. @throws Problem `rate_limited` */
  before(request: Request, path: string, client: () => string | null): Response | undefined;
  /** Counts a request of a client whose address is known. @throws Problem `rate_limited` where it sends too many */
  count(client: () => string | null): void;
  /** What each answer has: headers for browsers, and a smaller body where one is asked for. */
  after(request: Request, response: Response): Response | Promise<Response>;
}

/** Whoever looks after the server, or asks whether it is well, is never told to come later. */
export function isOperations(path: string): boolean {
  return path.startsWith("/health") || path === "/ready" || path === "/metrics";
}

/**
 * A browser that shows an answer of the API as a page runs nothing of it, is told of no other address, and puts it into
 * no frame (OWASP REST Security Cheat Sheet). Pages of ours set their own policy.
 */
const POLICY = "content-security-policy";
const POLICY_OF_DATA = "default-src 'none'; frame-ancestors 'none'";
const SECURITY_HEADERS = [
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
  ["x-frame-options", "DENY"],
] as const;

export function createEdge({
  wsOrigins,
  rateLimit,
  rateBurst,
  trustProxy,
}: Pick<Config, "wsOrigins" | "rateLimit" | "rateBurst" | "trustProxy">): Edge {
  const cors = createCors(wsOrigins);
  const take =
    rateLimit === 0 ? undefined : createRateLimit({ perSecond: rateLimit, burst: rateBurst });
  const count: Edge["count"] = (client) => {
    if (take === undefined) return;
    const address = client();
    if (address !== null) take(address);
  };
  return {
    clientAddress: createClientAddress(trustProxy),
    count,
    before(request, path, client) {
      const preflight = request.method === "OPTIONS" ? cors.preflight(request) : undefined;
      if (preflight !== undefined) return preflight;
      if (!isOperations(path)) count(client);
      return undefined;
    },
    after(request, response) {
      const { headers } = response;
      for (const [name, value] of SECURITY_HEADERS) headers.set(name, value);
      if (!headers.has(POLICY)) headers.set(POLICY, POLICY_OF_DATA);
      cors.mark(request, headers);
      return compressed(request, response);
    },
  };
}
