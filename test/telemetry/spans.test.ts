import { describe, expect, setSystemTime, test } from "bun:test";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { parseConfig } from "../../src/config.ts";
import { limits } from "../../src/limits.ts";
import { configureLogging, withLogContext } from "../../src/telemetry/logs.ts";
import { metrics } from "../../src/telemetry/metrics.ts";
import { createSpanSender } from "../../src/telemetry/otlp-sender.ts";
import { createSpanExporter } from "../../src/telemetry/otlp-spans.ts";
import { createSpanGroups } from "../../src/telemetry/span-groups.ts";
import { traceFields } from "../../src/telemetry/trace-context.ts";
import { beginRequest, currentTrace, startTraces } from "../../src/telemetry/traces.ts";
import { startCollector, traceConfig, type Collector } from "../support/collector.ts";

const EMPTY = `{"resourceSpans":[]}`;

const collectorAt = (otelEndpoint: string) => ({ otelEndpoint, otelHeaders: {} });

function counted(name: "trace_spans_exported_total" | "trace_spans_lost_total"): number {
  const point = metrics.read().find((family) => family.name === name)?.points[0];
  return point !== undefined && "value" in point ? point.value : 0;
}

/** Events of the log while some work is done. */
async function eventsOf(work: () => Promise<void>): Promise<string[]> {
  const events: string[] = [];
  const push = (line: string): void => void events.push(String(JSON.parse(line)["event"]));
  await configureLogging(
    { environment: "production", logFormat: "json", logLevel: "info" },
    { push },
  );
  await work();
  return events;
}

describe("a sender", () => {
  test("warns once of a collector that refuses, pauses ever longer, and says when it is back", async () => {
    await using collector = startCollector();
    let nowMs = 0;
    const sender = createSpanSender(collectorAt(collector.url), () => nowMs);
    const lost = counted("trace_spans_lost_total");
    const taken = counted("trace_spans_exported_total");
    const events = await eventsOf(async () => {
      collector.refuse(true);
      await sender.send(5, () => EMPTY);
      await sender.send(7, () => {
        throw new Error("nothing is made in a pause");
      });
      expect(collector.requests).toBe(1);
      nowMs = 1000;
      await sender.send(1, () => EMPTY);
      expect(collector.requests).toBe(2);
      // The second pause is twice as long.
      nowMs = 2500;
      await sender.send(1, () => EMPTY);
      expect(collector.requests).toBe(2);
      collector.refuse(false);
      nowMs = 3000;
      await sender.send(2, () => EMPTY);
    });
    expect(events).toEqual(["telemetry.export_failed", "telemetry.export_resumed"]);
    expect(counted("trace_spans_lost_total") - lost).toBe(14);
    expect(counted("trace_spans_exported_total") - taken).toBe(2);
  });

  test("counts as lost what a collector rejects of a batch, and warns once until it takes all again", async () => {
    let rejected: unknown;
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        await request.text();
        return Response.json({
          partialSuccess: { rejectedSpans: rejected, errorMessage: "quota" },
        });
      },
    });
    const sender = createSpanSender(collectorAt(server.url.origin));
    const lost = counted("trace_spans_lost_total");
    const taken = counted("trace_spans_exported_total");
    const events = await eventsOf(async () => {
      for (rejected of ["3", "5", undefined, "4", "9"]) await sender.send(5, () => EMPTY);
    });
    expect(events).toEqual(["telemetry.export_failed", "telemetry.export_failed"]);
    expect(counted("trace_spans_lost_total") - lost).toBe(3 + 5 + 4 + 5);
    expect(counted("trace_spans_exported_total") - taken).toBe(2 + 5 + 1);
  });

  test("shows the collector its headers, and the log no password of its address", async () => {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        resolve(request.headers.get("x-key"));
        return new Response("no", { status: 403 });
      },
    });
    const { otelHeaders } = parseConfig({ OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20b%3D, other=1" });
    expect(otelHeaders).toEqual({ "x-key": "a b=", other: "1" });
    const lines: string[] = [];
    await configureLogging(
      { environment: "production", logFormat: "json", logLevel: "info" },
      { push: (line) => void lines.push(line) },
    );
    const otelEndpoint = server.url.origin.replace("//", "//me:s3cret@");
    await createSpanSender({ otelEndpoint, otelHeaders }).send(1, () => EMPTY);
    expect(await promise).toBe("a b=");
    expect(lines.join("")).toContain("telemetry.export_failed");
    expect(lines.join("")).not.toContain("s3cret");
    await server.stop(true);
  });
});

test("methods that clients make up are named in their spans, however many", async () => {
  await using collector = startCollector();
  const methods = Array.from({ length: 40 }, (_, number) => `MADE-UP-${number}"`);
  {
    await using _traces = await startTraces({
      otelEnabled: undefined,
      otelEndpoint: collector.url,
      otelHeaders: {},
      otelServiceName: 'tests of "x"',
      traceDetail: "light",
      traceShare: 1,
    });
    for (const method of [...methods, ...methods]) {
      const path = "/x";
      const startMs = performance.now();
      const start = { method, route: path, path, requestId: "r", headers: new Headers(), startMs };
      const span = beginRequest(() => start);
      span?.end({ status: 204, error: undefined, endMs: startMs + 1.5 });
    }
  }
  expect(collector.spans.map(({ attributes }) => attributes["http.request.method"])).toEqual([
    ...methods,
    ...methods,
  ]);
  expect(new Set(collector.spans.map(({ spanId }) => spanId)).size).toBe(80);
  const [first] = collector.spans;
  expect(first).toMatchObject({ name: 'MADE-UP-0" /x', service: 'tests of "x"' });
  const [, start = "", end = ""] =
    /"startTimeUnixNano":"(\d+)","endTimeUnixNano":"(\d+)"/.exec(first?.text ?? "") ?? [];
  expect(BigInt(end) - BigInt(start)).toBe(1_500_000n);
  expect(Math.abs(Number(BigInt(start) / 1_000_000n) - Date.now())).toBeLessThan(60_000);
});

test("times of light spans follow the system's clock when it is set", async () => {
  await using collector = startCollector();
  const times = [Date.parse("2031-01-01"), Date.parse("2021-01-01"), Date.now()];
  {
    await using _traces = await startTraces(traceConfig(collector));
    using restored = new DisposableStack();
    restored.defer(() => void setSystemTime());
    for (const time of times) {
      setSystemTime(time);
      request()?.end({ status: 204, error: undefined, endMs: performance.now() });
    }
  }
  const off = collector.spans.map((span, index) => Math.abs(endMsOf(span) - (times[index] ?? 0)));
  expect(off).toHaveLength(3);
  expect(Math.max(...off)).toBeLessThan(60_000);
});

const endMsOf = ({ text }: { text: string }): number =>
  Number(/"endTimeUnixNano":"(\d+)\d{6}"/.exec(text)?.[1]);

function groupsWith(now: () => number) {
  const groups = createSpanGroups(now);
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    spanProcessors: [groups, new SimpleSpanProcessor(memory)],
  });
  return { groups, memory, tracer: provider.getTracer("tests") };
}

describe("groups of spans", () => {
  test("end what was forgotten, and keep nothing but what is harmless", async () => {
    const { groups, memory, tracer } = groupsWith(() => 0);
    const root = tracer.startSpan("root", { attributes: { "url.path": "/x", "url.full": "?q=1" } });
    const child = tracer.startSpan("", {}, trace.setSpan(ROOT_CONTEXT, root));
    child.setAttribute("http.request.body", "private");
    child.recordException(new RangeError("private"));
    child.setStatus({ code: SpanStatusCode.ERROR, message: "private" });
    const orphan = tracer.startSpan("orphan", {}, trace.setSpan(ROOT_CONTEXT, child));
    root.end();
    groups.ended(root);
    expect(groups.size).toBe(1);
    expect(orphan.isRecording()).toBe(true);
    groups.endAll();
    expect(groups.size).toBe(0);
    expect(orphan.isRecording()).toBe(false);
    const spans = memory.getFinishedSpans();
    expect(spans.map(({ name }) => name).toSorted()).toEqual(["hook", "orphan", "root"]);
    expect(
      JSON.stringify(spans.map(({ attributes, events, status }) => [attributes, events, status])),
    ).not.toContain("private");
    expect(spans.find(({ name }) => name === "root")?.attributes).toEqual({ "url.path": "/x" });
    await groups.shutdown();
  });

  test("are bounded", async () => {
    const { groups, tracer } = groupsWith(() => 0);
    const first = tracer.startSpan("first");
    for (let at = 0; at < limits.traceRequestsOpenMax; at++) tracer.startSpan("more");
    expect(groups.size).toBe(limits.traceRequestsOpenMax);
    expect(first.isRecording()).toBe(false);
    groups.endAll();
    await groups.shutdown();
  });
});

test("a span of the library goes out with all its kinds of attributes and its events", async () => {
  await using collector = startCollector();
  const exporter = createSpanExporter(createSpanSender(collectorAt(collector.url)));
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "tests" }),
    spanProcessors: [new SimpleSpanProcessor(memory)],
  });
  const span = provider.getTracer("tests").startSpan('odd "name"\n', {
    kind: SpanKind.CLIENT,
    attributes: { text: 'a "b"', whole: 7, part: 0.5, yes: true, list: ["a", "b"], mixed: [1, 2] },
  });
  span.addEvent("event", { at: 1 });
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
  const { promise, resolve } = Promise.withResolvers<void>();
  exporter.export(memory.getFinishedSpans(), () => resolve());
  await promise;
  await exporter.shutdown();
  const [collected] = collector.spans;
  expect(collected).toMatchObject({ name: 'odd "name"\n', kind: 3, status: 2, service: "tests" });
  expect(collected?.attributes).toEqual({
    text: 'a "b"',
    whole: "7",
    part: 0.5,
    yes: true,
    list: { values: [{ stringValue: "a" }, { stringValue: "b" }] },
    mixed: { values: [{ intValue: "1" }, { intValue: "2" }] },
  });
  expect(collected?.text).toContain('"name":"event"');
});

const request = (headers: Record<string, string> = {}) =>
  beginRequest(() => ({
    method: "GET",
    route: "/x",
    path: '/x/"é',
    requestId: "r",
    headers: new Headers(headers),
    startMs: performance.now(),
  }));

/** Begins a request with a `tracestate`. */
const begin = (number: number): string | undefined => {
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
  return request({ traceparent, tracestate: `vendor=${number}` })?.traceparent;
};

/** What goes to others within such a request. */
const stateOf = (traceparent: string | undefined): string | undefined =>
  withLogContext(traceFields(traceparent), () => currentTrace()?.tracestate);

test("light traces remember the tracestate of so many requests", async () => {
  await using collector = startCollector({ keep: false });
  await using _traces = await startTraces(traceConfig(collector));
  const [first, second] = [begin(0), begin(1)];
  for (let number = 2; number < limits.traceStatesMax; number++) begin(number);
  expect([stateOf(first), stateOf(second)]).toEqual(["vendor=0", "vendor=1"]);
  begin(-1);
  expect([stateOf(first), stateOf(second)]).toEqual([undefined, "vendor=1"]);
});

describe.each(["light", "detailed"] as const)("%s traces", (traceDetail) => {
  const open = (collector: Collector, traceShare: number) =>
    startTraces({
      otelEnabled: undefined,
      otelEndpoint: `${collector.url}/`,
      otelHeaders: {},
      otelServiceName: "tests",
      traceDetail,
      traceShare,
    });
  test("that begin here are kept by their share, and those of others as they say", async () => {
    await using collector = startCollector();
    {
      await using _traces = await open(collector, 0);
      const own = request();
      expect(own?.traceparent).toEndWith("-00");
      expect(traceFields(own?.traceparent)).toMatchObject({ trace_flags: "00" });
      own?.end({ status: 200, error: undefined, endMs: performance.now() });
      const theirs = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
      request({ traceparent: theirs })?.end({
        status: 500,
        error: new TypeError("private"),
        endMs: performance.now(),
      });
    }
    expect(collector.spans).toHaveLength(1);
    expect(collector.spans[0]).toMatchObject({ parentSpanId: "b".repeat(16), status: 2 });
    expect(collector.spans[0]?.attributes).toMatchObject({
      "error.type": "TypeError",
      "url.path": '/x/"é',
    });
  });

  test("leave out a tracestate that is too long, or that servers would refuse", async () => {
    await using collector = startCollector();
    {
      await using _traces = await open(collector, 1);
      const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
      for (const tracestate of [
        "vendor=kept",
        `vendor=${"x".repeat(limits.traceStateBytesMax)}`,
        "vendor=\u007F",
        "vendor=\u00E9",
      ])
        request({ traceparent, tracestate })?.end({
          status: 200,
          error: undefined,
          endMs: performance.now(),
        });
    }
    expect(collector.spans.map(({ text }) => text.includes("vendor="))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});
