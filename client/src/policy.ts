/** When and how a lost connection is made again: decisions only, no timers. */

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MS_MAX = 20_000;
/** A connection that lived this long was a good one: the next loss begins at the shortest wait again. */
const STABLE_MS = 10_000;
/** What a client waits that asked for too much. */
const ABUSE_WAIT_MS = 30_000;
/** A server that drains asks for some seconds; a wrong number must not keep a client away for a day. */
const HINT_MS_MAX = 60_000;
/** The server's own codes from here on say: do not come back. Those below say: do. */
const OWN_FINAL_FROM = 4500;

const CLOSE_TOKEN_EXPIRED = 4002;
const CLOSE_RATE_ABUSE = 4003;

/**
 * Standard codes after which the same client would fail in the same way: a good-bye, a protocol error, a kind of data
 * that is not taken, text that is not UTF-8, a broken policy, a missing extension.
 */
const FINAL_CODES: ReadonlySet<number> = new Set([1000, 1002, 1003, 1007, 1008, 1010]);

/** How a connection ended. */
export interface Ending {
  /** RFC 6455 close code; 1006 where none came. */
  code: number;
  /** Tries since the last stable connection, 0 for the first. */
  attempt: number;
  /** What the server asked for in `draining`, ms. */
  hintMs?: number | undefined;
}

export type NextStep =
  | { kind: "closed" }
  | {
      kind: "reconnect";
      delayMs: number;
      /** The token is no longer good: another one is asked for first. */
      newToken: boolean;
      /** The wait was demanded: an `online` or visibility event does not shorten it. */
      demanded: boolean;
    };

/** Wait before a try, ms: full jitter, so that thousands of clients do not come back in step. `random` is 0…1. */
export function backoffMs(attempt: number, random: () => number): number {
  return random() * Math.min(BACKOFF_MS_MAX, BACKOFF_FIRST_MS * 2 ** attempt);
}

/** Tries that count for the next wait: none after a connection that was stable for 10 s. */
export function attemptsAfter(attempts: number, connectedForMs: number): number {
  return connectedForMs >= STABLE_MS ? 0 : attempts;
}

/** What follows an ending. Unknown codes are safe: 4000 to 4499 reconnect, 4500 and up do not. */
export function nextStep({ code, attempt, hintMs }: Ending, random: () => number): NextStep {
  if (code >= OWN_FINAL_FROM || FINAL_CODES.has(code)) return { kind: "closed" };
  const newToken = code === CLOSE_TOKEN_EXPIRED;
  const jitterMs = backoffMs(attempt, random);
  if (code === CLOSE_RATE_ABUSE) {
    return { kind: "reconnect", delayMs: ABUSE_WAIT_MS + jitterMs, newToken, demanded: true };
  }
  const delayMs = hintMs === undefined ? jitterMs : Math.min(Math.max(hintMs, 0), HINT_MS_MAX);
  return { kind: "reconnect", delayMs, newToken, demanded: false };
}
