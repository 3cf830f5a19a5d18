/**
 * One way of watching requests, in a process of its own, so that the compiler sees what a server's would see. Told "run"
 * by its parent, it measures and answers the processor microseconds of one request, and what share
 * of its spans was lost so far.
 */
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { createProgram, type Program } from "../../src/boot/program.ts";
import { openSpans } from "../../src/boot/telemetry.ts";
import { parseConfig } from "../../src/config.ts";
import { LineSink } from "../../src/telemetry/line-sink.ts";
import { configureLogging } from "../../src/telemetry/logs.ts";
import { metrics } from "../../src/telemetry/metrics.ts";

/** Requests until the compiler is done with them. */
const WARM_REQUESTS = 40_000;

/** Requests between two turns of the event loop, in which spans are sent and lines are written. */
const TURN_REQUESTS = 50;

interface Watched {
  env: Record<string, string>;
  requests: number;
}

const watched: Watched = JSON.parse(process.argv[2] ?? "{}");

function spans(name: "trace_spans_exported_total" | "trace_spans_lost_total"): number {
  const point = metrics.read().find((family) => family.name === name)?.points[0];
  return point !== undefined && "value" in point ? point.value : 0;
}

async function send({ front }: Pick<Program, "front">, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const response = await front.handle(
      new Request("http://localhost/health/live", { headers: { "user-agent": "bench" } }),
    );
    await response.text();
    if (at % TURN_REQUESTS === 0) await new Promise(setImmediate);
  }
}

const folder = mkdtempSync(join(tmpdir(), "slipstream-bench-"));
process.on("disconnect", () => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
});
const config = parseConfig({
  DATA_DIR: folder,
  ENGINES: "0",
  VECTOR_INDEX: "exact",
  APP_ENVIRONMENT: "production",
  METRICS_EXPORTER: "none",
  ...watched.env,
});
await configureLogging(config, new LineSink(openSync(devNull, "w")));
metrics.enabled = config.metricsExporter !== "none";
const { lifeCycle } = await openSpans(config);
const program = await createProgram({ lifeCycleSpans: lifeCycle }).open(config);
await send(program, WARM_REQUESTS);
process.on("message", async () => {
  Bun.gc(true);
  const before = process.cpuUsage();
  await send(program, watched.requests);
  const { user, system } = process.cpuUsage(before);
  const us = (user + system) / watched.requests;
  const sent = spans("trace_spans_exported_total");
  process.send?.({ us, lost: spans("trace_spans_lost_total") / (sent || 1) });
});
process.send?.("ready");
