/**
 * What watching costs: processor microseconds of one request with its log lines, with its numbers, and with traces, light
 * and detailed, above the same request with none of them, their spans sent to a collector.
 * `bun bench/request-cost.ts [--quick] [--json FILE]`. It fails above 8 for logs, 6 for light traces and 1 for metrics.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { machineFacts, rounded } from "./support/load-results.ts";
import { median } from "./support/median.ts";

const { values } = parseArgs({
  options: { json: { type: "string" }, quick: { type: "boolean", default: false } },
});
const rounds = values.quick ? 7 : 25;
const requests = values.quick ? 10_000 : 20_000;

interface Variant {
  name: string;
  env: Record<string, string>;
  /** The most that it may cost, microseconds. */
  most?: number;
}

/** Microseconds of one request, and the share of all spans so far that was lost. */
interface Cost {
  us: number;
  lost: number;
}

interface Child extends Disposable {
  run(): Promise<Cost>;
}

const children = join(import.meta.dir, "support");

async function startCollector(): Promise<{ url: string } & Disposable> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const child = Bun.spawn([process.execPath, join(children, "collector-child.ts")], {
    ipc: (url: string) => resolve(url),
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { url: await promise, [Symbol.dispose]: () => child.kill() };
}

async function startChild({ env }: Variant): Promise<Child> {
  let heard: ((message: unknown) => void) | undefined;
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const next = (): Promise<unknown> =>
    Promise.race([new Promise((resolve) => (heard = resolve)), ended.promise]);
  const ready = next();
  const watched = JSON.stringify({ env, requests });
  const child = Bun.spawn([process.execPath, join(children, "request-cost-child.ts"), watched], {
    ipc: (message: unknown) => heard?.(message),
    onExit: () => ended.reject(new Error("a measured process ended")),
    stdio: ["ignore", "ignore", "inherit"],
  });
  await ready;
  return {
    async run() {
      const answer = next();
      child.send("run");
      const cost = await answer;
      if (!isCost(cost)) throw new Error("a measured process answers with its cost");
      return cost;
    },
    [Symbol.dispose]: () => child.disconnect(),
  };
}

function isCost(value: unknown): value is Cost {
  return typeof value === "object" && value !== null && "us" in value && "lost" in value;
}

using collector = await startCollector();
const quiet = { LOG_LEVEL: "critical" };
const traces = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
const variants: readonly Variant[] = [
  { name: "nothing", env: quiet },
  { name: "log lines", env: {}, most: 8 },
  { name: "metrics", env: { ...quiet, METRICS_EXPORTER: "prometheus" }, most: 1 },
  { name: "light traces", env: { ...quiet, ...traces }, most: 6 },
  { name: "detailed traces", env: { ...quiet, ...traces, TRACE_DETAIL: "detailed" } },
  { name: "log lines, metrics, light traces", env: { ...traces, METRICS_EXPORTER: "prometheus" } },
];
using stack = new DisposableStack();
const measured: { variant: Variant; child: Child; costs: number[]; lost: number }[] = [];
for (const variant of variants)
  measured.push({ variant, child: stack.use(await startChild(variant)), costs: [], lost: 0 });
for (let round = 0; round < rounds; round++)
  for (const one of measured) {
    const { us, lost } = await one.child.run();
    one.costs.push(us);
    one.lost = lost;
  }
const base = measured[0]?.costs ?? [];
const rows = measured.map(({ variant: { name }, costs, lost }) => {
  const added = costs.map((us, round) => us - (base[round] ?? 0));
  return {
    watched: name,
    us: rounded(median(costs), 2),
    added_us: rounded(median(added), 2),
    spans_lost: rounded(lost, 3),
    least_added_us: rounded(Math.min(...costs) - Math.min(...base), 2),
  };
});
console.table(rows);
if (values.json !== undefined) {
  const result = { machine: machineFacts(), quick: values.quick, rounds, requests, rows };
  await Bun.write(values.json, `${JSON.stringify(result, null, 2)}\n`);
}
for (const { watched, added_us } of rows) {
  const most = variants.find(({ name }) => name === watched)?.most ?? Infinity;
  if (added_us <= most) continue;
  console.error(`${watched}: ${added_us} us, and ${most} are allowed`);
  process.exitCode = 1;
}
