import { LIVE_PROTOCOL } from "../contract/live.ts";
import { Problem, type CloseName } from "../problems.ts";
import { isOriginAllowed } from "./origin.ts";

export interface HandshakeOptions {
  origins: readonly string[];
  /** Another connection would be one too many. */
  isFull: boolean;
}

/**
 * What a request for a connection leads to: an answer of HTTP where it is none, else a connection, and where `refusal` is
 * given, one that is closed at once with the reason. @throws Problem `upgrade_required`, `invalid_request`
 */
export function checkHandshake(
  { headers }: Request,
  { origins, isFull }: HandshakeOptions,
): CloseName | undefined {
  if (headers.get("upgrade")?.toLowerCase() !== "websocket")
    throw new Problem("upgrade_required", "Open a WebSocket here.");
  const offered = headers.get("sec-websocket-protocol");
  // The socket answers with the first one offered, whatever it is: a secret put there would come back.
  if (offered !== null && offered.split(",").some((one) => one.trim() !== LIVE_PROTOCOL))
    throw new Problem("invalid_request", `Offer the subprotocol ${LIVE_PROTOCOL}, or none.`);
  const asked = { origin: headers.get("origin"), host: headers.get("host") };
  if (!isOriginAllowed(asked, origins)) return "forbidden";
  return isFull ? "full" : undefined;
}
