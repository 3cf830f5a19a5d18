import { describe, expect, test } from "bun:test";
import { INSTRUMENTS, type Instrument } from "../../src/telemetry/instruments.ts";
import { setupMetrics } from "../../src/telemetry/metrics-export.ts";
import { getBusinessMetrics } from "../../src/telemetry/metrics.ts";
import { startCollector } from "../support/collector.ts";
import { eventually } from "../support/process.ts";
import { startServer } from "../support/server.ts";

describe("METRICS_EXPORTER", () => {
  test("otlp sends all numbers to a collector, histograms with their bounds", async () => {
    await using collector = startCollector();
    const config = {
      metricsExporter: "otlp",
      metricsExportMs: 60_000,
      otelEndpoint: collector.url,
      otelHeaders: {},
      otelServiceName: "tests",
    } as const;
    getBusinessMetrics().jobs_created_total.add(2, { collection: "P-001", priority: "high" });
    getBusinessMetrics().job_duration_seconds.record(3, { outcome: "done" });
    {
      await using _exporting = await setupMetrics(config);
    }
    const found = (name: string) => collector.metrics.find((metric) => metric.name === name);
    const created = found("jobs_created_total");
    expect([created?.kind, created?.monotonic]).toEqual(["sum", true]);
    // Other tests of this process may have created jobs too.
    expect(created?.points.map(({ attributes, value }) => ({ attributes, value }))).toContainEqual({
      attributes: { collection: "P-001", priority: "high" },
      value: 2,
    });
    expect(found("http.server.active_requests")).toMatchObject({ kind: "sum", monotonic: false });
    const durations: Instrument = INSTRUMENTS.job_duration_seconds;
    const duration = found("job_duration_seconds");
    expect([duration?.kind, duration?.unit]).toEqual(["histogram", "s"]);
    const point = duration?.points.find(({ attributes }) => attributes["outcome"] === "done");
    expect(point?.value).toBe(3);
    expect(point?.bounds).toEqual([...(durations.buckets ?? [])]);
    expect(point?.counts).toEqual([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("otlp sends them again after each interval, and a last time at the end", async () => {
    await using collector = startCollector();
    const sent = (): number =>
      collector.metrics.filter(({ name }) => name === "http.server.active_requests").length;
    const begin = performance.now();
    {
      await using _exporting = await setupMetrics({
        metricsExporter: "otlp",
        metricsExportMs: 100,
        otelEndpoint: collector.url,
        otelHeaders: {},
        otelServiceName: "tests",
      });
      expect(sent()).toBe(0);
      await eventually("three exports", () => (sent() >= 3 ? true : undefined));
      // Timers may come a little early, and never thrice.
      expect(performance.now() - begin).toBeGreaterThan(250);
    }
    expect(sent()).toBeGreaterThan(3);
  });

  test("console writes them after the interval that the environment sets", async () => {
    await using server = await startServer({
      env: {
        METRICS_EXPORTER: "console",
        OTEL_METRIC_EXPORT_INTERVAL: "1000",
        LOG_LEVEL: "info",
      },
    });
    const exported = await eventually("a line of metrics", async () =>
      (await server.log()).split("\n").find((line) => line.includes('"metrics.exported"')),
    );
    expect(JSON.parse(exported)).toMatchObject({ event: "metrics.exported" });
  });

  test("otlp without a collector does not keep the server from ending", async () => {
    await using server = await startServer({
      env: { METRICS_EXPORTER: "otlp", OTEL_ENABLED: "false" },
    });
    expect((await server.call("GET /version")).status).toBe(200);
    expect(await server.stop()).toBe(true);
  });

  test("console writes all numbers to the log", async () => {
    await using server = await startServer({
      env: { METRICS_EXPORTER: "console", LOG_LEVEL: "info" },
    });
    await server.call("GET /version");
    await server.stop();
    const lines: Record<string, unknown>[] = (await server.log())
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    const exported = lines.filter((line) => line["event"] === "metrics.exported");
    expect(exported).toHaveLength(1);
    expect(exported[0]?.["metrics"]).toMatchObject({
      "http_server_requests_total{method=GET,route=/version,status_code=200}": expect.any(Number),
      "event_loop_delay_seconds.count": expect.any(Number),
    });
  });
});
