import type { Config } from "../config.ts";
import { INSTRUMENTS, type Instrument } from "./instruments.ts";
import { getLogger } from "./logs.ts";
import { metrics, type Family, type Metrics } from "./metrics.ts";

const log = getLogger("telemetry");

export type MetricsConfig = Pick<
  Config,
  "metricsExporter" | "metricsExportMs" | "otelEndpoint" | "otelHeaders" | "otelServiceName"
>;

/** Counts or does not, and sends the numbers where the settings say. Disposing sends them once more, for a while. */
export async function setupMetrics(config: MetricsConfig): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const before = metrics.enabled;
  stack.defer(() => void (metrics.enabled = before));
  metrics.enabled = config.metricsExporter !== "none";
  if (config.metricsExporter === "otlp") {
    const { openOtlpMetrics } = await import("./otlp-metrics.ts");
    stack.use(openOtlpMetrics(config, metrics));
  }
  if (config.metricsExporter === "console") stack.use(writeToLog(metrics, config.metricsExportMs));
  return stack.move();
}

/** One log line with all numbers now and then. */
function writeToLog(source: Metrics, everyMs: number): AsyncDisposable {
  const write = async (): Promise<void> => {
    log.info("metrics.exported", { metrics: plain(await source.collect()) });
  };
  const timer = setInterval(() => void write(), everyMs);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await write();
    },
  };
}

/** Numbers by name and labels; of a histogram how many values there are, and their sum. */
function plain(families: readonly Family[]): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const { name, points } of families) {
    const instrument: Instrument = INSTRUMENTS[name];
    for (const point of points) {
      const labels = instrument.labels.map((label, at) => `${label}=${point.labels[at] ?? ""}`);
      const key = labels.length === 0 ? name : `${name}{${labels.join(",")}}`;
      if ("value" in point) {
        numbers[key] = point.value;
      } else {
        numbers[`${key}.count`] = point.counts.reduce((sum, count) => sum + count, 0);
        numbers[`${key}.sum`] = point.sum;
      }
    }
  }
  return numbers;
}
