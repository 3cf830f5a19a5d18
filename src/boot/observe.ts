import { statfsSync } from "node:fs";
import type { Config } from "../config.ts";
import { latencyStatus } from "../http/health.ts";
import type { Lifecycle } from "../http/lifecycle.ts";
import type { LiveCounters } from "../live/counters.ts";
import type { DataDirectoryStore } from "../store/local/local-store.ts";
import { linesDropped } from "../telemetry/logs.ts";
import { metrics } from "../telemetry/metrics.ts";
import { VERSION } from "../version.ts";

/** Of this process: one that writes, in its Worker, and one that reads. */
const connections = 2;

const healthNumbers = { healthy: 1, degraded: 0.5, unhealthy: 0 } as const;

/** Shows how the store and the server are. */
export function observeServer(
  config: Pick<Config, "dataDir" | "diskFreeMegabytes">,
  { store, lifecycle }: { store: DataDirectoryStore; lifecycle: Lifecycle },
): Disposable {
  using stack = new DisposableStack();
  let pingMs = 0;
  let diskBytes = 0;
  let answers = true;
  const health = (): number =>
    lifecycle.state === "ready" && answers ? healthNumbers[latencyStatus(pingMs)] : 0;
  stack.use(
    metrics.refresh(async () => {
      answers = false;
      pingMs = await store.ping();
      answers = true;
      diskBytes = await store.diskBytes();
    }),
  );
  stack.use(metrics.observe("health_status", health));
  stack.use(metrics.observe("store_ping_seconds", () => pingMs / 1000));
  stack.use(metrics.observe("store_disk_bytes", () => diskBytes));
  stack.use(metrics.observe("store_transactions_total", () => store.transactions));
  stack.use(metrics.observe("store_writes_waiting", () => store.waiting.documents));
  stack.use(metrics.observe("store_writes_waiting_bytes", () => store.waiting.bytes));
  stack.use(metrics.observe("db_pool_size", () => connections));
  stack.use(metrics.observe("db_pool_in_use", () => (store.waiting.documents > 0 ? 1 : 0)));
  // Both are opened at the start, and no third one ever is.
  stack.use(metrics.observe("db_pool_overflow", () => 0));
  stack.use(metrics.observe("disk_free_bytes", () => freeBytes(config.dataDir)));
  const freeMin = config.diskFreeMegabytes * 1024 * 1024;
  stack.use(metrics.observe("disk_free_min_bytes", () => freeMin));
  stack.use(metrics.observe("log_lines_dropped_total", linesDropped));
  const { version, commit } = VERSION;
  stack.use(metrics.observe("build_info", () => 1, { version, commit }));
  return stack.move();
}

/** Shows what the live edge counts. */
export function observeLive(counters: Readonly<LiveCounters>): Disposable {
  using stack = new DisposableStack();
  stack.use(metrics.observe("live_connections", () => counters.connections));
  stack.use(metrics.observe("live_connections_opened_total", () => counters.connectionsOpened));
  stack.use(metrics.observe("live_connections_refused_total", () => counters.connectionsRefused));
  stack.use(metrics.observe("live_frames_in_total", () => counters.framesIn));
  stack.use(metrics.observe("live_frames_out_total", () => counters.framesOut));
  stack.use(metrics.observe("live_publications_total", () => counters.publications));
  stack.use(metrics.observe("live_deliveries_total", () => counters.deliveries));
  stack.use(metrics.observe("live_failures_total", () => counters.failures));
  for (const [reason, read] of [
    ["slow", () => counters.slowCut],
    ["stale", () => counters.staleCut],
    ["rate", () => counters.rateCut],
    ["protocol", () => counters.protocolCut],
  ] as const) {
    stack.use(metrics.observe("live_cut_total", read, { reason }));
  }
  return stack.move();
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
