import { limits } from "../limits.ts";
import { VERSION } from "../version.ts";
import { endsWithin } from "../lib/within.ts";
import { currentContext } from "./logs.ts";
import { createSpanSender } from "./otlp-sender.ts";
import { createSpanQueue } from "./span-queue.ts";
import { formatTraceparent, parseTraceparent, type TraceContext } from "./trace-context.ts";
import type { RequestStart, TraceConfig, Traces } from "./traces.ts";

/** Kinds of spans as the protocol numbers them. */
const kinds = { server: 2, consumer: 5 } as const;
const FAILED = `,"status":{"code":2}`;

/** A span: a few values, of which text is made when it is sent. */
interface LightSpan {
  name: string;
  kind: number;
  place: TraceContext;
  parent: string | undefined;
  state: string | null;
  /** Without its headers, which would keep the whole request in memory until the span is sent. */
  request: Omit<RequestStart, "headers"> | undefined;
  startUs: number;
  endUs: number;
  status: number;
  /** Kind of the error that it failed by. */
  failedBy: string | undefined;
}

/**
 * Traces of one span a request, by the cheapest way: nothing of OpenTelemetry's library is loaded. With a span of the
 * library, its batches and its exporter a request took 16 us more of this thread, with this it takes five, the sending
 * included (`bench/request-cost.ts`).
 */
export function openLightTraces(config: TraceConfig): Traces {
  const { otelServiceName, traceShare } = config;
  const head = requestHead(otelServiceName);
  const queue = createSpanQueue<LightSpan>(
    createSpanSender(config),
    (spans) => `${head}${spans.map((span) => spanJson(span)).join(",")}]}]}]}`,
  );
  let open = 0;
  const finish = (span: LightSpan): void => {
    span.endUs = nowUs();
    if ((span.place.flags & 1) === 1) queue.push(span);
  };
  return {
    detailed: false,
    open: () => open,
    request(start) {
      open++;
      const span = beginRequest(start, traceShare);
      return {
        traceparent: formatTraceparent(span.place),
        run: (work) => work(),
        end({ status, error }) {
          open--;
          span.status = status;
          if (status >= 500) span.failedBy = kindOf(error);
          finish(span);
        },
      };
    },
    span: (_name, work) => work(),
    begin({ traceparent, name }) {
      const parent = parseTraceparent(traceparent);
      const span = newSpan({ name, kind: kinds.consumer }, parent, traceShare);
      return {
        traceparent: formatTraceparent(span.place),
        run: (work) => work(),
        end: () => finish(span),
        fail(error) {
          span.failedBy = kindOf(error);
          finish(span);
        },
      };
    },
    current: currentOfLog,
    async [Symbol.asyncDispose]() {
      await endsWithin(limits.traceFlushMsMax, queue.flush());
    },
  };
}

function beginRequest(start: RequestStart, share: number): LightSpan {
  const { method, route, path, requestId, headers } = start;
  const given = headers.get("traceparent");
  const parent = given === null ? undefined : parseTraceparent(given);
  const span = newSpan({ name: `${method} ${route}`, kind: kinds.server }, parent, share);
  span.request = { method, route, path, requestId };
  // It means nothing alone.
  if (parent !== undefined) span.state = headers.get("tracestate");
  return span;
}

function newSpan(
  { name, kind }: Pick<LightSpan, "name" | "kind">,
  parent: TraceContext | undefined,
  share: number,
): LightSpan {
  return {
    name,
    kind,
    place: placeBelow(parent, share),
    parent: parent?.spanId,
    state: null,
    request: undefined,
    startUs: nowUs(),
    endUs: 0,
    status: 0,
    failedBy: undefined,
  };
}

/** A request's own trace context is in the context of its log lines. */
function currentOfLog(): string | undefined {
  const { trace_id, span_id, trace_flags = "01" } = currentContext();
  return typeof trace_id === "string" && typeof span_id === "string"
    ? `00-${trace_id}-${span_id}-${trace_flags === "01" ? "01" : "00"}`
    : undefined;
}

/** A new span's place below a caller's, or at the head of a trace of its own, of which `share` are kept. */
function placeBelow(parent: TraceContext | undefined, share: number): TraceContext {
  if (parent !== undefined) return { ...parent, spanId: randomHex(8) };
  const kept = share >= 1 || Math.random() < share;
  return { traceId: randomHex(16), spanId: randomHex(8), flags: kept ? 1 : 0 };
}

/** Random bytes, taken from the system some hundred ids at a time. */
const pool = new Uint8Array(4096);
let poolUsed = pool.length;

/** The standard forbids an id of zeros, which none of so many bits will ever be. */
function randomHex(bytes: number): string {
  if (poolUsed + bytes > pool.length) {
    crypto.getRandomValues(pool);
    poolUsed = 0;
  }
  poolUsed += bytes;
  return pool.subarray(poolUsed - bytes, poolUsed).toHex();
}

/** Microseconds since 1970: as many as a number holds exactly. */
function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/** A span as the protocol's JSON has it (opentelemetry-proto, trace.proto). */
function spanJson(span: LightSpan): string {
  const { name, kind, place, parent, startUs, endUs, failedBy } = span;
  const above = parent === undefined ? "" : `"parentSpanId":"${parent}",`;
  const failed = failedBy === undefined ? "" : FAILED;
  return `{"traceId":"${place.traceId}","spanId":"${place.spanId}",${above}${stateJson(span.state)}"name":${quoted(name)},"kind":${kind},"startTimeUnixNano":"${startUs}000","endTimeUnixNano":"${endUs}000","attributes":[${attributesJson(span)}]${failed}}`;
}

function attributesJson({ request, status, failedBy }: LightSpan): string {
  const why = failedBy === undefined ? "" : textAttribute("error.type", failedBy);
  if (request === undefined) return why;
  const { method, route, path, requestId } = request;
  const answered = `{"key":"http.response.status_code","value":{"intValue":"${status}"}}`;
  return `${textAttribute("http.request.method", method)},${textAttribute("http.route", route)},${textAttribute("url.path", path)},${textAttribute("request_id", requestId)},${answered}${why === "" ? "" : `,${why}`}`;
}

/** Who sends the spans; the rest of a request is its list of them. */
function requestHead(service: string): string {
  const { name, version } = VERSION;
  const own = `${textAttribute("service.name", service)},${textAttribute("service.version", version)},{"key":"process.pid","value":{"intValue":"${process.pid}"}}`;
  return `{"resourceSpans":[{"resource":{"attributes":[${own}]},"scopeSpans":[{"scope":{"name":"${name}","version":"${version}"},"spans":[`;
}

function textAttribute(key: string, value: string): string {
  return `{"key":"${key}","value":{"stringValue":${quoted(value)}}}`;
}

/** What a path or a name may hold as it is. */
const PLAIN = /^[\w\-./: ~%]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** `tracestate` is handed on as it came; one that is too long is left out, as its standard allows. */
function stateJson(state: string | null): string {
  const usable = state !== null && state !== "" && state.length <= limits.traceStateBytesMax;
  return usable ? `"traceState":${JSON.stringify(state)},` : "";
}

function kindOf(error: unknown): string {
  return error instanceof Error ? error.name : "unknown";
}
