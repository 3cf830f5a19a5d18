import { limits } from "../limits.ts";
import type { Connection } from "./connection.ts";

/** What a connection did wrong within a window of time. */
export interface Strikes {
  sinceMs: number;
  refused: number;
  malformed: number;
}

/**
 * Takes one token: true if the frame may go on. The bucket holds `burst` and gets `rate` a second. `nowMs` is of
 * `performance.now()`.
 */
export function takeToken(
  connection: Pick<Connection, "tokens" | "tokensAtMs">,
  { rate, burst, nowMs }: { rate: number; burst: number; nowMs: number },
): boolean {
  const gained = ((nowMs - connection.tokensAtMs) / 1000) * rate;
  const tokens = Math.min(burst, connection.tokens + gained);
  connection.tokensAtMs = nowMs;
  connection.tokens = tokens >= 1 ? tokens - 1 : tokens;
  return tokens >= 1;
}

/** Counts a wrong; true if that was one too many within the window. */
export function strike(
  connection: Pick<Connection, "strikes">,
  kind: "refused" | "malformed",
  nowMs: number,
): boolean {
  const old = connection.strikes;
  const strikes =
    old !== undefined && nowMs - old.sinceMs <= limits.liveStrikesMs
      ? old
      : { sinceMs: nowMs, refused: 0, malformed: 0 };
  connection.strikes = strikes;
  strikes[kind]++;
  return strikes[kind] >= limits.liveStrikesMax;
}
