import type { Config } from "../config.ts";

/** The settings of live connections. */
export type LiveConfig = Pick<
  Config,
  | "wsHeartbeatSeconds"
  | "wsStaleSeconds"
  | "wsOrigins"
  | "wsConnections"
  | "wsFramesPerSecond"
  | "wsFramesBurst"
>;

/** Times of a connection in milliseconds, of the settings: it is gone within the timeout, a sweep and a turn counted in. */
export function timesOf({
  wsHeartbeatSeconds,
  wsStaleSeconds,
}: Pick<LiveConfig, "wsHeartbeatSeconds" | "wsStaleSeconds">) {
  const timeoutMs = wsStaleSeconds * 1000;
  return {
    heartbeatMs: wsHeartbeatSeconds * 1000,
    /** Silent for longer is stale. */
    staleMs: timeoutMs * 0.75,
    sweepMs: timeoutMs / 12,
    /** Taking nothing of what it is sent for longer is too slow. */
    slowMs: timeoutMs / 2,
  };
}
