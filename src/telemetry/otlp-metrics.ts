import { ValueType, type Attributes, type HrTime } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { emptyResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type DataPoint,
  type Histogram,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import { limits } from "../limits.ts";
import { VERSION } from "../version.ts";
import { INSTRUMENTS, type Instrument } from "./instruments.ts";
import type { Point } from "./metric-series.ts";
import type { Family, Metrics } from "./metrics.ts";
import { collectorUrl } from "./otlp-sender.ts";
import type { MetricsConfig } from "./metrics-export.ts";

/** Sends the numbers by OpenTelemetry's own reader and exporter; they are counted by us, which is twenty times cheaper. */
export function openOtlpMetrics(
  { otelEndpoint, otelHeaders, otelServiceName, metricsExportMs: everyMs }: MetricsConfig,
  metrics: Metrics,
): AsyncDisposable {
  const url = collectorUrl(otelEndpoint, "/v1/metrics");
  const timeoutMs = Math.min(everyMs, limits.traceFlushMsMax);
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({
      url,
      headers: { ...otelHeaders },
      timeoutMillis: timeoutMs,
    }),
    exportIntervalMillis: everyMs,
    exportTimeoutMillis: timeoutMs,
    metricProducers: [createProducer(metrics)],
  });
  const provider = new MeterProvider({
    resource: resourceFromAttributes({
      "service.name": otelServiceName,
      "service.version": VERSION.version,
    }),
    readers: [reader],
  });
  return {
    async [Symbol.asyncDispose]() {
      // A collector that is away must not keep the process from ending.
      await provider.shutdown({ timeoutMillis: limits.traceFlushMsMax }).catch(() => {});
    },
  };
}

function createProducer(metrics: Metrics): MetricProducer {
  const startTime = hrTime();
  return {
    async collect() {
      const families = await metrics.collect();
      const times = { startTime, endTime: hrTime() };
      const made = families.filter(({ points }) => points.length > 0);
      return {
        errors: [],
        resourceMetrics: {
          resource: emptyResource(),
          scopeMetrics: [
            {
              scope: { name: VERSION.name, version: VERSION.version },
              metrics: made.map((family) => toMetricData(family, times)),
            },
          ],
        },
      };
    },
  };
}

interface Times {
  startTime: HrTime;
  endTime: HrTime;
}

function toMetricData({ name, points }: Family, times: Times): MetricData {
  const instrument: Instrument = INSTRUMENTS[name];
  const base = {
    descriptor: {
      name: instrument.otel ?? name,
      description: instrument.help,
      unit: instrument.unit,
      valueType: ValueType.DOUBLE,
    },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const attributesOf = ({ labels }: Point): Attributes =>
    Object.fromEntries(instrument.labels.map((label, at) => [label, labels[at] ?? ""]));
  if (instrument.kind === "histogram") {
    const dataPoints = points.map((point) => ({
      ...times,
      attributes: attributesOf(point),
      value: toHistogram(instrument, point),
    }));
    return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints: DataPoint<number>[] = points.map((point) => ({
    ...times,
    attributes: attributesOf(point),
    value: "value" in point ? point.value : Number.NaN,
  }));
  return instrument.kind === "gauge"
    ? { ...base, dataPointType: DataPointType.GAUGE, dataPoints }
    : {
        ...base,
        dataPointType: DataPointType.SUM,
        isMonotonic: instrument.kind === "counter",
        dataPoints,
      };
}

function toHistogram({ buckets = [] }: Instrument, point: Point): Histogram {
  const counts = "value" in point ? [] : [...point.counts];
  return {
    buckets: { boundaries: [...buckets], counts },
    sum: "value" in point ? 0 : point.sum,
    count: counts.reduce((sum, count) => sum + count, 0),
  };
}

/** Seconds and nanoseconds since 1970. */
function hrTime(): HrTime {
  const ms = Date.now();
  return [Math.floor(ms / 1000), (ms % 1000) * 1_000_000];
}
