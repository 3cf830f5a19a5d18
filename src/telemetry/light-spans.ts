import { encodeUtf8 } from "../lib/text.ts";
import { VERSION } from "../version.ts";
import type { ByteText } from "./byte-text.ts";
import { SPAN_ID, spanIdOf, TRACE_ID, traceIdOf } from "./trace-context.ts";
import type { RequestStart, SpanAttributes } from "./traces.ts";

/** A span that has ended. */
export type LightSpan = EndedRequest | EndedPart;

interface Ended {
  /** Its own place. */
  readonly traceparent: string;
  /** Id of the span above it. */
  readonly parentId: string | undefined;
  /** `tracestate`, not too long; undefined where there is none. */
  readonly state: string | undefined;
  /** Milliseconds of `performance.now()`. */
  readonly startMs: number;
  readonly endMs: number;
  /** Kind of what it failed by; undefined where it did not. */
  readonly errorType: string | undefined;
}

export interface EndedRequest extends Ended {
  readonly kind: "server";
  readonly request: Pick<RequestStart, "method" | "route" | "path" | "requestId">;
  readonly status: number;
}

/** A part of a trace that goes on elsewhere, or later. */
export interface EndedPart extends Ended {
  readonly kind: "consumer" | "client";
  readonly name: string;
  /** `traceparent`s of other traces. */
  readonly links: readonly string[];
  readonly attributes: SpanAttributes;
}

/** Kinds of spans as the protocol numbers them. */
const KINDS = { server: 2, client: 3, consumer: 5 } as const;

/** How a request to the collector is written: its begin, its spans with commas between them, its end. */
export interface SpanFormat<Span> {
  begin: Uint8Array;
  write: (span: Span, text: ByteText) => void;
  end: Uint8Array;
}

/**
 * Writes an `ExportTraceServiceRequest` in JSON (opentelemetry-proto, trace.proto). What all spans of a route with the same
 * status have in common is one piece, into which ids and times are put.
 */
export function lightSpanFormat(service: string): SpanFormat<LightSpan> {
  const heads = createRequestHeads();
  return {
    begin: encodeUtf8(requestBegin(service)),
    write(span, text) {
      if (span.kind === "server") writeRequest(span, text, heads);
      else writePart(span, text);
      writeEnd(span, text);
    },
    end: encodeUtf8("]}]}]}"),
  };
}

/** Who sends the spans. */
function requestBegin(service: string): string {
  const { name, version } = VERSION;
  const own = attributesJson({
    "service.name": service,
    "service.version": version,
    "process.pid": process.pid,
  });
  return `{"resourceSpans":[{"resource":{"attributes":[${own}]},"scopeSpans":[{"scope":{"name":"${name}","version":"${version}"},"spans":[`;
}

/** Where a span's ids and times are, from its first byte: a `traceparent` and the digits of now have fixed lengths. */
const PLACE = `{"traceId":"${"0".repeat(32)}","spanId":"${"0".repeat(16)}","startTimeUnixNano":"${"1".repeat(16)}000","endTimeUnixNano":"${"2".repeat(16)}000",`;
const AT = {
  traceId: PLACE.indexOf("0".repeat(32)),
  spanId: PLACE.indexOf(`${"0".repeat(16)}","start`),
  start: PLACE.indexOf("1"),
  end: PLACE.indexOf("2"),
} as const;

function fillPlace(at: number, { traceparent, startMs, endMs }: Ended, text: ByteText): void {
  followClock(endMs);
  text.partAt(at + AT.traceId, traceparent, TRACE_ID);
  text.partAt(at + AT.spanId, traceparent, SPAN_ID);
  text.digitsAt(at + AT.start, microseconds(startMs));
  text.digitsAt(at + AT.end, microseconds(endMs));
}

/** When `performance.now()` was 0, milliseconds since 1970. */
let originMs = performance.timeOrigin;

/** Differences below it are of rounding, and of how late a span is written. */
const clockOffMsMax = 1000;

/** It does not follow where the system's clock is set, and stands still while a machine sleeps. A span has ended just now. */
function followClock(endMs: number): void {
  const since = Date.now() - endMs;
  if (Math.abs(since - originMs) > clockOffMsMax) originMs = since;
}

/** Since 1970: as many as a number holds exactly. */
function microseconds(ms: number): number {
  return Math.round((originMs + ms) * 1000);
}

const REQUEST_ID = encodeUtf8(`}},{"key":"request_id","value":{"stringValue":"`);
const REQUEST_END = encodeUtf8(`"}}`);

function writeRequest(span: EndedRequest, text: ByteText, heads: RequestHeads): void {
  const { route, path, requestId } = span.request;
  const head = heads(span);
  const at = text.length;
  text.bytes(head.head);
  fillPlace(at, span, text);
  if (path === route) text.bytes(head.routeAsPath);
  else if (PLAIN.test(path)) text.ascii(`"${path}"`);
  else text.text(JSON.stringify(path));
  text.bytes(REQUEST_ID);
  // As the front makes it or lets it pass: nothing in it has to be quoted.
  text.ascii(requestId);
  text.bytes(REQUEST_END);
}

interface RequestHead {
  /** Up to the request's path. */
  head: Uint8Array;
  routeAsPath: Uint8Array;
}

type RequestHeads = (span: Pick<EndedRequest, "request" | "status">) => RequestHead;

/** More than there are methods; clients can make others up. */
const METHODS_MAX = 16;

/** Remembers what the spans of a route, a method and a status have in common. Routes and statuses are the program's own. */
function createRequestHeads(): RequestHeads {
  const known = new Map<string, Map<string, Map<number, RequestHead>>>();
  return ({ request: { route, method }, status }) => {
    const byMethod = known.get(route) ?? new Map<string, Map<number, RequestHead>>();
    known.set(route, byMethod);
    const byStatus = byMethod.get(method) ?? new Map<number, RequestHead>();
    if (byMethod.size < METHODS_MAX) byMethod.set(method, byStatus);
    const head = byStatus.get(status) ?? requestHead({ route, method, status });
    byStatus.set(status, head);
    return head;
  };
}

function requestHead(of: { route: string; method: string; status: number }): RequestHead {
  const { route, method, status } = of;
  const shared = attributesJson({
    "http.request.method": method,
    "http.route": route,
    "http.response.status_code": status,
  });
  const head = `${PLACE}"name":${quoted(`${method} ${route}`)},"kind":${KINDS.server},"attributes":[${shared},{"key":"url.path","value":{"stringValue":`;
  return { head: encodeUtf8(head), routeAsPath: encodeUtf8(quoted(route)) };
}

function writePart(span: EndedPart, text: ByteText): void {
  const { name, kind, links, attributes } = span;
  const at = text.length;
  text.text(
    `${PLACE}"name":${quoted(name)},"kind":${KINDS[kind]},"links":[${links.map(linkJson).join(",")}],"attributes":[${attributesJson(attributes)}`,
  );
  fillPlace(at, span, text);
}

function linkJson(traceparent: string): string {
  return `{"traceId":"${traceIdOf(traceparent)}","spanId":"${spanIdOf(traceparent)}"}`;
}

const ENDED_WELL = encodeUtf8("]}");

/** From the last attribute on: most requests are the first of a trace and end well. */
function writeEnd(span: LightSpan, text: ByteText): void {
  const { parentId, state, errorType } = span;
  if (parentId === undefined && errorType === undefined) return text.bytes(ENDED_WELL);
  const isFirst = span.kind !== "server" && Object.keys(span.attributes).length === 0;
  const why =
    errorType === undefined ? "" : `${isFirst ? "" : ","}${attributeJson("error.type", errorType)}`;
  const above = parentId === undefined ? "" : `,"parentSpanId":"${parentId}"`;
  const handedOn = state === undefined ? "" : `,"traceState":${JSON.stringify(state)}`;
  const failed = errorType === undefined ? "" : `,"status":{"code":2}`;
  text.text(`${why}]${above}${handedOn}${failed}}`);
}

function attributesJson(attributes: SpanAttributes): string {
  return Object.entries(attributes)
    .map(([key, value]) => attributeJson(key, value))
    .join(",");
}

function attributeJson(key: string, value: string | number): string {
  return typeof value === "number"
    ? `{"key":"${key}","value":{"intValue":"${value}"}}`
    : `{"key":"${key}","value":{"stringValue":${quoted(value)}}}`;
}

/** What a path or a name may hold as it is. */
const PLAIN = /^[\w\-./: ~%]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}
