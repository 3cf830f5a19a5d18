import { expect, test } from "bun:test";
import { context, trace } from "@opentelemetry/api";
import { openSpans } from "../../src/boot/telemetry.ts";
import { parseConfig } from "../../src/config.ts";
import { SearchResultSchema } from "../../src/contract/search.ts";
import { withLogContext } from "../../src/telemetry/logs.ts";
import { limits } from "../../src/limits.ts";
import { startTraces } from "../../src/telemetry/traces.ts";
import {
  beginRequest,
  continueTrace,
  currentTraceparent,
  traced,
  traceHeaders,
} from "../../src/telemetry/traces.ts";
import { parseTraceparent, traceFields } from "../../src/telemetry/trace-context.ts";
import { createRules, writeRules, read } from "../http/answers.ts";
import {
  startCollector,
  traceConfig,
  type CollectedSpan,
  type Collector,
} from "../support/collector.ts";
import { eventually } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const TRACEPARENT = `00-${TRACE}-${PARENT}-01`;

const SEARCH = "POST /api/v1/collections/rules/search";
const SEARCH_SPAN = "POST /api/v1/collections/:name/search";

interface Traced extends AsyncDisposable {
  collector: Collector;
  server: TestServer;
}

/** A server that sends its traces to a collector. Disposing sends what waits first. */
async function startTraced(env: Record<string, string> = {}): Promise<Traced> {
  await using stack = new AsyncDisposableStack();
  const collector = stack.use(startCollector());
  const server = stack.use(
    await startServer({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env } }),
  );
  const owned = stack.move();
  return { collector, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan[] =>
  spans.filter((span) => span.name === name);

const one = (spans: readonly CollectedSpan[], name: string): CollectedSpan => {
  const [span, ...more] = named(spans, name);
  if (span === undefined || more.length > 0)
    throw new Error(`there are ${more.length + (span === undefined ? 0 : 1)} spans ${name}`);
  return span;
};

/** Log lines of an event. */
const lines = async (server: TestServer, event: string): Promise<Record<string, unknown>[]> => {
  const text = await server.log();
  const all: Record<string, unknown>[] = text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  return all.filter((line) => line["event"] === event);
};

test("a traceparent is read as its standard says, and a bad one is as none", () => {
  expect(parseTraceparent(TRACEPARENT)).toEqual({ traceId: TRACE, spanId: PARENT, flags: 1 });
  expect(parseTraceparent(`01-${TRACE}-${PARENT}-00-more`)).toMatchObject({ flags: 0 });
  for (const bad of [
    null,
    undefined,
    "",
    "ff-" + TRACEPARENT.slice(3),
    `${TRACEPARENT}-more`,
    TRACEPARENT.toUpperCase(),
    `00-${"0".repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.slice(1)}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-1`,
  ]) {
    expect(parseTraceparent(bad)).toBeUndefined();
  }
  expect(traceFields(undefined)).toEqual({});
  expect(traceFields(TRACEPARENT)).toEqual({ trace_id: TRACE, span_id: PARENT });
});

test("a server without a collector has no traces, says so once, and helpers do nothing", async () => {
  await using server = await startServer({ env: { LOG_LEVEL: "info" } });
  expect(await lines(server, "telemetry.disabled")).toHaveLength(1);
  const answer = await server.call("GET /version", undefined, { traceparent: TRACEPARENT });
  expect(answer.headers.get("traceresponse")).toBeNull();
  const [line] = await lines(server, "request_completed");
  expect(line).not.toHaveProperty("trace_id");
  expect(currentTraceparent()).toBeUndefined();
  expect(traceHeaders()).toEqual({});
  expect(traced("nothing", () => 7)).toBe(7);
  expect(continueTrace({ traceparent: undefined, name: "nothing" }, () => 8)).toBe(8);
});

test("OTEL_ENABLED=false holds against a collector that is named", async () => {
  await using traces = await startTraced({ OTEL_ENABLED: "false" });
  const answer = await traces.server.call("GET /version");
  expect(answer.headers.get("traceresponse")).toBeNull();
  await traces.server.stop();
  expect(traces.collector.requests).toBe(0);
});

test("a request is one span, below the caller's, named by its route, with its ids in the log", async () => {
  await using traces = await startTraced({ LOG_LEVEL: "info", OTEL_SERVICE_NAME: "rule-book" });
  const { server, collector } = traces;
  await createRules(server);
  await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
  const headers = { traceparent: TRACEPARENT, "x-request-id": "test-123" };
  const answer = await server.call(SEARCH, { query: "red flag" }, headers);
  read(SearchResultSchema, answer);
  await server.stop();
  const span = one(collector.spans, SEARCH_SPAN);
  expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, service: "rule-book" });
  expect(span.attributes).toEqual({
    "http.request.method": "POST",
    "http.route": "/api/v1/collections/:name/search",
    "http.response.status_code": expect.anything(),
    "url.path": "/api/v1/collections/rules/search",
    request_id: "test-123",
  });
  expect(Number(span.attributes["http.response.status_code"])).toBe(200);
  expect(answer.headers.get("traceresponse")).toBe(`00-${TRACE}-${span.spanId}-01`);
  const completed = await lines(server, "request_completed");
  expect(completed.find((line) => line["request_id"] === "test-123")).toMatchObject({
    trace_id: TRACE,
    span_id: span.spanId,
  });
});

test("every route yields a span, and so does an address that no route takes", async () => {
  await using traces = await startTraced();
  const { server, collector } = traces;
  await createRules(server);
  const asked = [
    "GET /health/live",
    "GET /metrics",
    "GET /version",
    "GET /api/v1/collections",
    "GET /api/v1/collections/rules/documents",
    "GET /nowhere/at-all",
    "PUT /version",
  ];
  for (const target of asked) await server.call(target);
  await server.stop();
  const names = collector.spans.map(({ name }) => name);
  expect(names).toContain("GET /api/v1/collections/:name/documents");
  expect(names).toContain("GET unmatched");
  expect(names).toContain("PUT /version");
  expect(collector.spans.length).toBe(asked.length + 1);
});

test("a request that fails ends its span as an error, by the kind of the error only", async () => {
  await using traces = await startTraced();
  const { server, collector } = traces;
  const answer = await server.call("POST /api/v1/collections", { name: "secret words", x: 1 });
  expect(answer.status).toBe(400);
  await server.stop();
  const span = one(collector.spans, "POST /api/v1/collections");
  // Refusing what a client did wrong is no error of the server's.
  expect(span.status).toBe(0);
  expect(span.text).not.toContain("secret words");
});

test("a trace that is not kept by its caller is not kept here", async () => {
  await using traces = await startTraced();
  const traceparent = `00-${TRACE}-${PARENT}-00`;
  const answer = await traces.server.call("GET /version", undefined, { traceparent });
  expect(answer.headers.get("traceresponse")).toMatch(new RegExp(`^00-${TRACE}-.{16}-00$`));
  await traces.server.stop();
  expect(traces.collector.spans).toEqual([]);
});

test.each(["light", "detailed"] as const)(
  "a job goes on with the trace of the request that made it, also in a later process (%s)",
  async (detail) => {
    await using collector = startCollector();
    let kept: string | undefined;
    {
      await using _traces = await startTraces(traceConfig(collector, detail));
      const span = beginRequest(() => ({
        method: "POST",
        route: "/jobs",
        path: "/jobs",
        requestId: "r",
        headers: new Headers({ traceparent: TRACEPARENT, tracestate: "vendor=1" }),
        startMs: performance.now(),
      }));
      // As the front does.
      kept = withLogContext(traceFields(span?.traceparent), () => span?.run(currentTraceparent));
      expect(kept).toBe(span?.traceparent ?? "");
      expect(withLogContext(traceFields(kept), () => span?.run(traceHeaders))).toEqual({
        traceparent: kept ?? "",
      });
      span?.end({ status: 202, error: undefined, endMs: performance.now() });
    }
    expect(currentTraceparent()).toBeUndefined();
    {
      await using _traces = await startTraces(traceConfig(collector, detail));
      const result = continueTrace({ traceparent: kept, name: "job.run" }, async () => {
        expect(currentTraceparent()).toStartWith(`00-${TRACE}-`);
        return 5;
      });
      expect(await result).toBe(5);
      const failing = continueTrace({ traceparent: kept, name: "job.fail" }, async () => {
        throw new RangeError("private words");
      });
      expect(failing).rejects.toThrow("private words");
      await failing.catch(() => {});
      expect(() =>
        continueTrace({ traceparent: "garbage", name: "job.throw" }, () => {
          throw new TypeError("private words");
        }),
      ).toThrow("private words");
    }
    const made = one(collector.spans, "POST /jobs");
    expect(one(collector.spans, "job.run")).toMatchObject({
      traceId: TRACE,
      parentSpanId: made.spanId,
    });
    expect(one(collector.spans, "job.fail")).toMatchObject({ status: 2 });
    expect(one(collector.spans, "job.throw").parentSpanId).toBeUndefined();
    expect(collector.spans.map(({ text }) => text).join("")).not.toContain("private words");
    expect(made.text).toContain("vendor=1");
  },
);

test("an engine's process traces as the server does, where traces are on", async () => {
  await using collector = startCollector();
  const given = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, TRACE_DETAIL: "detailed" };
  {
    await using spans = await openSpans(parseConfig(given));
    expect(spans.lifeCycle).toBeDefined();
    expect(
      continueTrace({ traceparent: TRACEPARENT, name: "engine" }, () => traced("part", () => 3)),
    ).toBe(3);
  }
  expect(one(collector.spans, "part")).toMatchObject({
    traceId: TRACE,
    parentSpanId: one(collector.spans, "engine").spanId,
  });
  await using off = await openSpans(parseConfig({}));
  expect(off.lifeCycle).toBeUndefined();
});

test("detailed traces show the steps of a search, below the request, and nothing that somebody wrote", async () => {
  await using traces = await startTraced({ TRACE_DETAIL: "detailed" });
  const { server, collector } = traces;
  await createRules(server);
  await writeRules(server, [{ id: "a", text: "Confidential: a red flag stops the race." }]);
  const headers = { traceparent: TRACEPARENT, authorization: "Bearer hush", cookie: "id=hush" };
  const body = { query: "confidential flag", filter: { lap: { $gt: 1 } } };
  read(SearchResultSchema, await server.call(SEARCH, body, headers));
  const bad = { query: "confidential flag", k: "hush" };
  expect((await server.call(`${SEARCH}?private=hush`, bad, headers)).status).toBe(400);
  await server.stop();
  const mine = collector.spans.filter(({ traceId }) => traceId === TRACE);
  const byId = new Map(mine.map((span) => [span.spanId, span]));
  const rootOf = (span: CollectedSpan): CollectedSpan => {
    const parent = byId.get(span.parentSpanId ?? "");
    return parent === undefined ? span : rootOf(parent);
  };
  for (const stage of ["filter", "embed", "vectors", "keyword", "fuse", "store"]) {
    const root = rootOf(one(mine, `search.${stage}`));
    expect(root).toMatchObject({ name: SEARCH_SPAN, parentSpanId: PARENT });
  }
  expect(named(mine, "Handle").length).toBeGreaterThan(0);
  const all = collector.spans.map(({ text }) => text).join("\n");
  expect(all.toLowerCase()).not.toContain("confidential");
  expect(all).not.toContain("hush");
});

test("an engine's spans and log lines belong to the request that it answers", async () => {
  await using traces = await startTraced({
    ENGINES: "1",
    VECTOR_INDEX: "exact",
    TRACE_DETAIL: "detailed",
  });
  const { server, collector } = traces;
  await createRules(server);
  await writeRules(server, [{ id: "a", text: "A red flag stops the race." }]);
  await server.call(SEARCH, { query: "red flag" }, { traceparent: TRACEPARENT });
  await server.stop();
  const request = one(collector.spans, SEARCH_SPAN);
  const engine = collector.spans.find(
    ({ name, traceId }) => name === "engine" && traceId === TRACE,
  );
  expect(engine).toMatchObject({ parentSpanId: request.spanId });
  expect(engine?.pid).not.toEqual(request.pid);
  expect(one(collector.spans, "search.embed")).toMatchObject({
    traceId: TRACE,
    parentSpanId: engine?.spanId,
  });
});

test("a collector that is away costs one warning, and none of it reaches a request", async () => {
  // Taken and given back: nobody listens there.
  const gone = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
  const url = gone.url.origin;
  await gone.stop(true);
  await using server = await startServer({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: url, LOG_LEVEL: "warning" },
  });
  for (let count = 0; count < 1500; count++) {
    const answer = await server.call("GET /version");
    expect(answer.status).toBe(200);
  }
  const warnings = await eventually("the warning", async () => {
    const found = await lines(server, "telemetry.export_failed");
    return found.length > 0 ? found : undefined;
  });
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ level: "warning", endpoint: url });
  const begin = performance.now();
  await server.stop();
  expect(performance.now() - begin).toBeLessThan(limits.traceFlushMsMax + 2000);
  expect(await lines(server, "telemetry.export_failed")).toHaveLength(1);
});

test("a collector that never answers holds the end of the server up for a limited time", async () => {
  const held = Promise.withResolvers<Response>();
  const silent = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => held.promise });
  try {
    await using server = await startServer({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: silent.url.origin },
    });
    await server.call("GET /version");
    const begin = performance.now();
    await server.stop();
    const tookMs = performance.now() - begin;
    expect(tookMs).toBeGreaterThan(limits.traceFlushMsMax - 100);
    expect(tookMs).toBeLessThan(limits.traceFlushMsMax + 3000);
  } finally {
    held.resolve(new Response("{}"));
    await silent.stop(true);
  }
});

test("tracing that ended leaves nothing behind in its library", async () => {
  await using collector = startCollector();
  {
    await using _traces = await startTraces(traceConfig(collector));
    expect(traced("quiet", () => 1)).toBe(1);
  }
  expect(trace.getSpan(context.active())).toBeUndefined();
  expect(trace.getTracer("tests").startSpan("x").isRecording()).toBe(false);
  expect(collector.spans).toEqual([]);
});
