import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CreatedStandingQuerySchema } from "../../src/contract/standing-queries.ts";
import { createChangeTraces } from "../../src/standing-queries/change-traces.ts";
import { withLogContext } from "../../src/telemetry/logs.ts";
import { formatTraceparent, traceFields } from "../../src/telemetry/trace-context.ts";
import { startTraces } from "../../src/telemetry/traces.ts";
import { createRules, read } from "../http/answers.ts";
import {
  startCollector,
  traceConfig,
  type CollectedSpan,
  type Collector,
} from "../support/collector.ts";
import { eventually } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { startReceiver, type Received, type WebhookReceiver } from "../support/webhook-receiver.ts";
import { openWebhookWorld, type WebhookWorld } from "../unit/standing-queries/webhook-world.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

const WRITE_SPAN = "POST /api/v1/collections/:name/documents";

const traceparentAt = (digit: string, flags = 1): string =>
  formatTraceparent({ traceId: digit.repeat(32), spanId: digit.repeat(16), flags });

interface Options {
  collector: Collector;
  receiver: WebhookReceiver;
  env?: Record<string, string>;
}

/** A server whose traces go to a collector, if the settings leave them on. */
const startTraced = ({ collector, env = {} }: Options): Promise<TestServer> =>
  startServer({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      WEBHOOK_PRIVATE_ADDRESSES: "true",
      ...env,
    },
  });

/** A stored query of `flag` whose matches go to the receiver. */
async function createQuery(server: TestServer, receiver: WebhookReceiver): Promise<string> {
  const body = {
    collection: "rules",
    text: "flag",
    mode: "keyword",
    webhook: { url: receiver.url },
  };
  const answer = await server.call("POST /api/v1/standing-queries", body);
  const { id, webhook } = read(CreatedStandingQuerySchema, answer);
  receiver.trust(id, webhook?.secret ?? "");
  return id;
}

async function writeMatch(server: TestServer, headers: Record<string, string>): Promise<void> {
  const documents = [{ id: 'a "quoted"', text: "A red flag stops the race." }];
  const target = "POST /api/v1/collections/rules/documents";
  const { status } = await server.call(target, { documents }, headers);
  expect(status).toBeLessThan(300);
}

const requestOf = (receiver: WebhookReceiver, number = 0): Promise<Received> =>
  eventually("the request", () => receiver.requests[number]);

const webhookSpans = ({ spans }: Collector): CollectedSpan[] =>
  spans.filter(({ name }) => name === "webhook");

describe.each(["light", "detailed"])("a webhook's request in %s traces", (detail) => {
  test("goes on with the trace of the change that it is of, in a span of its own", async () => {
    await using collector = startCollector();
    await using receiver = startReceiver();
    const env = { TRACE_DETAIL: detail, LOG_LEVEL: "debug" };
    await using server = await startTraced({ collector, receiver, env });
    await createRules(server);
    const queryId = await createQuery(server, receiver);
    await writeMatch(server, { traceparent: TRACEPARENT, tracestate: "vendor=1" });
    const received = await requestOf(receiver);
    await eventually("it is settled", async () =>
      (await server.log()).includes('"webhook.delivered"') ? true : undefined,
    );
    const log = await server.log();
    await server.stop();
    const [span, ...more] = webhookSpans(collector);
    const mine = collector.spans.filter(({ traceId }) => traceId === TRACE);
    const parent = mine.find(({ spanId }) => spanId === span?.parentSpanId);
    expect(more).toEqual([]);
    expect(received.traceparent).toBe(`00-${TRACE}-${span?.spanId}-01`);
    expect(received.tracestate).toBe("vendor=1");
    expect(span).toMatchObject({ traceId: TRACE, kind: 3, status: 0 });
    // The request itself, or the step of it in which the document was written.
    expect(parent?.name).toBe(detail === "light" ? WRITE_SPAN : "Handle");
    expect(span?.text).toContain("vendor=1");
    expect(Object.keys(span?.attributes ?? {}).toSorted()).toEqual([
      "http.request.method",
      "http.request.resend_count",
      "http.response.status_code",
      "message_id",
      "query_id",
      "server.address",
    ]);
    expect(span?.attributes).toMatchObject({
      "server.address": new URL(receiver.url).host,
      query_id: queryId,
      message_id: received.id,
    });
    expect(Number(span?.attributes["http.response.status_code"])).toBe(200);
    // The path of a receiver may be a secret.
    expect(span?.text).not.toContain("/hook");
    const line = log.split("\n").find((one) => one.includes('"webhook.delivered"')) ?? "{}";
    expect(JSON.parse(line)).toMatchObject({ trace_id: TRACE, span_id: span?.spanId });
  });

  test("goes on with it after a restart", async () => {
    await using collector = startCollector();
    await using receiver = startReceiver();
    using dir = tempDir();
    const env = { TRACE_DETAIL: detail, DATA_DIR: join(dir.path, "db") };
    const { promise: never } = Promise.withResolvers<number>();
    receiver.answer = (count) => (count === 0 ? never : 200);
    {
      await using server = await startTraced({ collector, receiver, env });
      await createRules(server);
      await createQuery(server, receiver);
      await writeMatch(server, { traceparent: TRACEPARENT, tracestate: "vendor=1" });
      await requestOf(receiver);
    }
    const [cutOff] = webhookSpans(collector);
    expect(cutOff).toMatchObject({ traceId: TRACE, status: 2 });
    expect(cutOff?.attributes["error.type"]).toBe("cancelled");
    {
      await using _server = await startTraced({ collector, receiver, env });
      await requestOf(receiver, 1);
    }
    const [first, second] = receiver.requests;
    expect(second?.id).toBe(first?.id ?? "");
    const [, span] = webhookSpans(collector);
    expect(second?.traceparent).toBe(`00-${TRACE}-${span?.spanId}-01`);
    expect(second?.tracestate).toBe("vendor=1");
    expect(span).toMatchObject({ parentSpanId: cutOff?.parentSpanId, status: 0 });
  });
});

test("a webhook's request goes on with the trace of a stream of documents, and with that of a job", async () => {
  await using collector = startCollector();
  await using receiver = startReceiver();
  await using server = await startTraced({ collector, receiver });
  await createRules(server);
  await createQuery(server, receiver);
  const line = JSON.stringify({ id: "a", text: "A red flag stops the race." });
  const target = "POST /api/v1/collections/rules/documents";
  const streamed = await server.call(target, line, {
    "content-type": "application/x-ndjson",
    traceparent: traceparentAt("a"),
    tracestate: "vendor=1",
  });
  expect(streamed.status).toBe(200);
  const first = await requestOf(receiver);
  expect(first.traceparent).toStartWith(`00-${"a".repeat(32)}-`);
  expect(first.tracestate).toBe("vendor=1");
  const form = new FormData();
  form.append("file", new File(["# Flags\n\nA blue flag lets others past."], "flags.md"));
  const uploaded = await fetch(`${server.url}/api/v1/collections/rules/files`, {
    method: "POST",
    headers: { traceparent: traceparentAt("b") },
    body: form,
  });
  expect(uploaded.status).toBe(202);
  const { traceparent } = await requestOf(receiver, 1);
  await server.stop();
  const [, span] = webhookSpans(collector);
  const parent = collector.spans.find(({ spanId }) => spanId === span?.parentSpanId);
  expect(traceparent).toBe(`00-${"b".repeat(32)}-${span?.spanId}-01`);
  expect(parent?.name).toBe("job ingest");
});

test("a webhook's request of a trace that is not kept says so, and has no span", async () => {
  await using collector = startCollector();
  await using receiver = startReceiver();
  await using server = await startTraced({ collector, receiver });
  await createRules(server);
  await createQuery(server, receiver);
  await writeMatch(server, { traceparent: `00-${TRACE}-00f067aa0ba902b7-00` });
  const { traceparent } = await requestOf(receiver);
  expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-.{16}-00$`));
  await server.stop();
  expect(webhookSpans(collector)).toEqual([]);
});

test("a webhook's request has no trace context where traces are off, whatever the caller's had", async () => {
  await using collector = startCollector();
  await using receiver = startReceiver();
  const env = { OTEL_ENABLED: "false" };
  await using server = await startTraced({ collector, receiver, env });
  await createRules(server);
  await createQuery(server, receiver);
  await writeMatch(server, { traceparent: TRACEPARENT, tracestate: "vendor=1" });
  expect(await requestOf(receiver)).toMatchObject({ traceparent: null, tracestate: null });
});

interface TracedWorld extends AsyncDisposable {
  collector: Collector;
  own: WebhookWorld;
}

/** Stored queries and their webhooks alone, in this process, with traces. */
async function openTracedWorld(): Promise<TracedWorld> {
  await using stack = new AsyncDisposableStack();
  const collector = stack.use(startCollector());
  stack.use(await startTraces(traceConfig(collector)));
  const own = stack.use(await openWebhookWorld());
  const owned = stack.move();
  return { collector, own, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** As a request in a trace does that writes documents, with numbers from `first` on as ids. */
const changing = ({ stored, world }: WebhookWorld, traceparent: string, ids: string[]): void =>
  withLogContext(traceFields(traceparent), () => stored.changing(world.collectionKey, ids));

test("each try is a span of a trace of its own where none is known, with what came of it", async () => {
  await using traced = await openTracedWorld();
  const { collector, own } = traced;
  own.receiver.answer = (count) => (count === 0 ? 503 : 200);
  await own.create();
  await own.putMatching(0, 1);
  await own.took(1);
  await own.stop();
  const [failed, taken] = await eventually("both spans", () =>
    webhookSpans(collector).length === 2 ? webhookSpans(collector) : undefined,
  );
  expect(failed).toMatchObject({ parentSpanId: undefined, status: 2 });
  expect(failed?.attributes).toMatchObject({
    "error.type": "503",
    "http.response.status_code": "503",
    "http.request.resend_count": "0",
  });
  expect(taken).toMatchObject({ parentSpanId: undefined, status: 0 });
  expect(taken?.attributes).toMatchObject({ "http.request.resend_count": "1" });
  expect(own.receiver.requests.map(({ traceparent }) => traceparent)).toEqual([
    `00-${failed?.traceId}-${failed?.spanId}-01`,
    `00-${taken?.traceId}-${taken?.spanId}-01`,
  ]);
});

test.each([
  [
    "410",
    async (own: WebhookWorld): Promise<void> => {
      own.receiver.answer = () => 410;
    },
  ],
  ["ECONNREFUSED", (own: WebhookWorld) => own.receiver[Symbol.asyncDispose]()],
] as const)("a try that ends with %s says so in its span", async (errorType, prepare) => {
  await using traced = await openTracedWorld();
  const { collector, own } = traced;
  await own.create();
  await prepare(own);
  await own.putMatching(0, 1);
  await eventually("it failed", () => (own.stored.counters.failures > 0 ? true : undefined));
  await own.stop();
  const [span] = await eventually("the span", () =>
    webhookSpans(collector).length > 0 ? webhookSpans(collector) : undefined,
  );
  expect(span).toMatchObject({ status: 2, attributes: { "error.type": errorType } });
});

test("a request with matches of several traces is of the first one, and linked to the others", async () => {
  await using traced = await openTracedWorld();
  const { collector, own } = traced;
  const { promise: first, resolve } = Promise.withResolvers<number>();
  own.receiver.answer = (count) => (count === 0 ? first : 200);
  const id = await own.create();
  await own.putMatching(0, 1);
  await requestOf(own.receiver);
  changing(own, traceparentAt("a"), ["d1", "d2"]);
  changing(own, traceparentAt("b"), ["d3"]);
  await own.putMatching(1, 4);
  await eventually("all are queued", async () =>
    (await own.stored.get(id)).webhook?.waiting === 5 ? true : undefined,
  );
  resolve(200);
  await own.took(5);
  await own.stop();
  const [, span] = await eventually("both spans", () =>
    webhookSpans(collector).length === 2 ? webhookSpans(collector) : undefined,
  );
  expect(span).toMatchObject({ traceId: "a".repeat(32), parentSpanId: "a".repeat(16) });
  expect(span?.links).toEqual(["b".repeat(32)]);
});

test("the traces of so many changed documents are remembered, and of none while traces are off", async () => {
  const traces = createChangeTraces(2);
  const within = (traceparent: string, ids: string[]): void =>
    withLogContext(traceFields(traceparent), () => traces.changing(1, ids));
  within(traceparentAt("a"), ["early"]);
  expect(traces.size).toBe(0);
  await using collector = startCollector();
  await using _traces = await startTraces(traceConfig(collector));
  within(traceparentAt("a"), ["one", "two"]);
  within(traceparentAt("b"), ["one"]);
  within(traceparentAt("c"), ["three"]);
  expect(traces.size).toBe(2);
  expect(traces.of(1, "one")?.traceparent).toBe(traceparentAt("b"));
  expect(traces.of(1, "two")).toBeUndefined();
  expect(traces.of(2, "one")).toBeUndefined();
  traces.changing(1, ["three"]);
  expect(traces.of(1, "three")?.traceparent).toBe(traceparentAt("c"));
});
