import { limits } from "../limits.ts";
import { endsWithin } from "../lib/within.ts";
import { lightSpanFormat, type EndedRequest, type LightSpan } from "./light-spans.ts";
import { errorTypeOf } from "./error-type.ts";
import { currentContext } from "./logs.ts";
import { createSpanSender } from "./otlp-sender.ts";
import { createSpanQueue } from "./span-queue.ts";
import {
  formatTraceparent,
  parseTraceparent,
  spanIdOf,
  usableState,
  type TraceContext,
} from "./trace-context.ts";
import { randomHex } from "./trace-ids.ts";
import type {
  Continued,
  RequestSpan,
  RequestStart,
  RunningSpan,
  SpanEnd,
  TraceConfig,
  Traces,
} from "./traces.ts";

/**
 * Traces of one span a request, by the cheapest way: nothing of OpenTelemetry's library is loaded. With a span of the
 * library, its batches and its exporter a request took 16 us more of this thread, with this it takes three, the sending
 * included (`bench/request-cost.ts`).
 */
export function openLightTraces(config: TraceConfig): Traces {
  const { otelServiceName, traceShare } = config;
  const queue = createSpanQueue<LightSpan>(
    createSpanSender(config),
    lightSpanFormat(otelServiceName),
  );
  const parts: Parts = { share: traceShare, open: 0, states: createStates(), take: queue.push };
  return {
    detailed: false,
    open: () => parts.open,
    request: (start) => new LightRequest(start, parts),
    span: (_name, work) => work(),
    begin: (from) => beginPart(from, parts),
    current: currentOfLog,
    currentState() {
      const { span_id } = currentContext();
      return typeof span_id === "string" ? parts.states.of(span_id) : undefined;
    },
    async [Symbol.asyncDispose]() {
      await endsWithin(limits.traceFlushMsMax, queue.flush());
    },
  };
}

interface Parts {
  /** Of the traces that begin here, 0…1. */
  share: number;
  /** Requests that run. */
  open: number;
  states: States;
  /** Takes a span that has ended. */
  take: (span: LightSpan) => void;
}

/** The span of a request: one object, since every request makes one. */
class LightRequest implements RequestSpan, EndedRequest {
  readonly kind = "server";
  readonly traceparent: string;
  readonly parentId: string | undefined;
  readonly state: string | undefined;
  readonly startMs: number;
  endMs = 0;
  errorType: string | undefined;
  readonly request: RequestStart;
  status = 0;
  readonly #parts: Parts;

  constructor(request: RequestStart, parts: Parts) {
    const { headers, startMs } = request;
    const given = headers.get("traceparent");
    const parent = given === null ? undefined : parseTraceparent(given);
    this.traceparent = placeBelow(parent, parts.share);
    this.parentId = parent?.spanId;
    // It means nothing alone.
    this.state = parent === undefined ? undefined : usableState(headers.get("tracestate"));
    this.startMs = startMs;
    this.request = request;
    this.#parts = parts;
    parts.open++;
    if (this.state !== undefined) parts.states.keep(spanIdOf(this.traceparent), this.state);
  }

  run<T>(work: () => T): T {
    return work();
  }

  end({ status, error, endMs }: Parameters<RequestSpan["end"]>[0]): void {
    this.#parts.open--;
    this.status = status;
    this.endMs = endMs;
    if (status >= 500) this.errorType = errorTypeOf(error);
    if (isKept(this.traceparent)) this.#parts.take(this);
  }
}

function beginPart(
  { traceparent: above, tracestate, name, kind = "consumer", links = [] }: Continued,
  { share, take }: Parts,
): RunningSpan {
  const parent = parseTraceparent(above);
  const traceparent = placeBelow(parent, share);
  const state = parent === undefined ? undefined : usableState(tracestate);
  const startMs = performance.now();
  const end = ({ attributes = {}, errorType }: SpanEnd = {}): void => {
    if (!isKept(traceparent)) return;
    const place = { traceparent, parentId: parent?.spanId, state };
    const endMs = performance.now();
    take({ ...place, startMs, endMs, errorType, kind, name, links, attributes });
  };
  return { traceparent, tracestate: state, run: (work) => work(), end };
}

/** `tracestate` of requests by their span's id. Streams go on after a request's span has ended. */
interface States {
  keep(spanId: string, state: string): void;
  of(spanId: string): string | undefined;
}

/** Of more than are remembered, the one that came first is forgotten. */
function createStates(): States {
  const states = new Map<string, string>();
  return {
    keep(spanId, state) {
      states.set(spanId, state);
      for (const first of states.keys()) {
        if (states.size > limits.traceStatesMax) states.delete(first);
        return;
      }
    },
    of: (spanId) => states.get(spanId),
  };
}

/** A request's own trace context is in the context of its log lines. */
function currentOfLog(): string | undefined {
  const { trace_id, span_id, trace_flags = "01" } = currentContext();
  return typeof trace_id === "string" && typeof span_id === "string"
    ? `00-${trace_id}-${span_id}-${trace_flags === "01" ? "01" : "00"}`
    : undefined;
}

/** `traceparent` of a new span below a caller's, or at the head of a trace of its own, of which `share` are kept. */
function placeBelow(parent: TraceContext | undefined, share: number): string {
  const spanId = randomHex(16);
  if (parent !== undefined) return formatTraceparent({ ...parent, spanId });
  const kept = share >= 1 || Math.random() < share;
  return formatTraceparent({ traceId: randomHex(32), spanId, flags: kept ? 1 : 0 });
}

function isKept(traceparent: string): boolean {
  return traceparent.endsWith("1");
}
