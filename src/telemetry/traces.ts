import type { Config } from "../config.ts";
import { openLightTraces } from "./light-traces.ts";
import { getLogger, withLogContext } from "./logs.ts";
import { metrics } from "./metrics.ts";
import { runIn } from "./run-in-span.ts";
import { traceFields, type CarriedTrace } from "./trace-context.ts";

const log = getLogger("telemetry");

/** What is known of a request when its span begins. */
export interface RequestStart {
  method: string;
  /** Route template, which names the span. */
  route: string;
  path: string;
  requestId: string;
  headers: Pick<Headers, "get">;
  /** When it came, milliseconds of `performance.now()`. */
  startMs: number;
}

/** The span of one request. */
export interface RequestSpan {
  /** `traceparent` of what the request causes. */
  readonly traceparent: string;
  /** Does something as a part of the request. */
  run<T>(work: () => T): T;
  /** `endMs` is of the same clock as `startMs`. */
  end(ended: { status: number; error: unknown; endMs: number }): void;
}

/** Numbers are whole. */
export type SpanAttributes = Readonly<Record<string, string | number>>;

/** What is said of a span when it ends. */
export interface SpanEnd {
  attributes?: SpanAttributes;
  /** Kind of what it failed by, and never a message: that may repeat what somebody wrote. */
  errorType?: string | undefined;
}

/** A span that runs until it ends well or fails. */
export interface RunningSpan {
  readonly traceparent: string;
  /** `tracestate` that goes with it to others; undefined where there is none. */
  readonly tracestate: string | undefined;
  /** Does something as a part of it. */
  run<T>(work: () => T): T;
  end(ended?: SpanEnd): void;
}

/** A part of a trace that goes on elsewhere, or later. */
export interface Continued {
  /** `traceparent` as it was kept; undefined where there was no trace. */
  traceparent: string | undefined;
  /** `tracestate` that was kept beside it. */
  tracestate?: string | undefined;
  name: string;
  /** Work that was handed over, by default, or a request to another program. */
  kind?: "consumer" | "client";
  /** `traceparent`s of other traces that it belongs to as well. */
  links?: readonly string[];
}

/** What traces are made with, where they are on. */
export interface Traces extends AsyncDisposable {
  /** Spans of the parts of a request too, and not of the request only. */
  readonly detailed: boolean;
  request(start: RequestStart): RequestSpan;
  /** Does something in a span below the one that runs. */
  span<T>(name: string, work: () => T): T;
  /** Begins a span below one of another process or of another time. */
  begin(from: Continued): RunningSpan;
  /** Requests whose spans have not all ended. */
  open(): number;
  /** `traceparent` of what runs now. */
  current(): string | undefined;
  /** `tracestate` that came with the request that runs now. */
  currentState(): string | undefined;
}

export type TraceConfig = Pick<
  Config,
  "otelEnabled" | "otelEndpoint" | "otelHeaders" | "otelServiceName" | "traceDetail" | "traceShare"
>;

let traces: Traces | undefined;

/** Whether traces are on: where they are asked for, or where a collector is named and they are not refused. */
export function tracesWanted({ otelEnabled, otelEndpoint }: TraceConfig): boolean {
  return otelEnabled ?? otelEndpoint !== undefined;
}

/**
 * Starts tracing where the settings say so, and says once that they do not. Nothing of OpenTelemetry is loaded but
 * for detailed traces.
 * Disposing sends what waits, for a while, and stops.
 */
export async function setupTelemetry(config: TraceConfig): Promise<AsyncDisposable> {
  if (!tracesWanted(config)) {
    log.info("telemetry.disabled");
    return nothing;
  }
  return startTraces(config);
}

/** As `setupTelemetry` for a process that another one has told of the settings already. */
export async function startTraces(config: TraceConfig): Promise<AsyncDisposable> {
  if (!tracesWanted(config)) return nothing;
  const opened = await openTraces(config);
  traces = opened;
  const observed = metrics.observe("trace_requests_open", () => opened.open());
  log.info("telemetry.enabled", { detail: config.traceDetail, share: config.traceShare });
  return {
    async [Symbol.asyncDispose]() {
      if (traces === opened) traces = undefined;
      observed[Symbol.dispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}

async function openTraces(config: TraceConfig): Promise<Traces> {
  if (config.traceDetail === "light") return openLightTraces(config);
  return (await import("./open-telemetry.ts")).openDetailedTraces(config);
}

const nothing: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

/** Begins the span of a request; undefined where traces are off. */
export function beginRequest(start: () => RequestStart): RequestSpan | undefined {
  return traces?.request(start());
}

/** Does something in a span of its own where traces are detailed, and else just so. */
export function traced<T>(name: string, work: () => T): T {
  return traces?.detailed === true ? traces.span(name, work) : work();
}

/**
 * What a job or a message to another process keeps of the trace that it comes from: a `traceparent`, or undefined where
 * traces are off. `continueTrace` takes it up again, also after a restart.
 */
export function currentTraceparent(): string | undefined {
  return traces?.current();
}

/** What goes to others of the trace that something runs in; undefined where traces are off. */
export function currentTrace(): CarriedTrace | undefined {
  const traceparent = traces?.current();
  return traceparent === undefined
    ? undefined
    : { traceparent, tracestate: traces?.currentState() };
}

/** Headers for a request to another program, so that its spans belong to this trace. */
export function traceHeaders(): Record<string, string> {
  const traceparent = currentTraceparent();
  return traceparent === undefined ? {} : { traceparent };
}

/** Goes on with a trace: in a span below the kept one where traces are on, and with its ids in every log line. */
export function continueTrace<T>(from: Continued, work: () => T): T {
  if (traces === undefined) return withTraceFields(from.traceparent, work);
  const span = traces.begin(from);
  return withTraceFields(span.traceparent, () => runIn(span, work));
}

/** Begins a span that goes on with a trace, for whoever ends it by itself; undefined where traces are off. */
export function beginSpan(from: Continued): RunningSpan | undefined {
  return traces?.begin(from);
}

function withTraceFields<T>(traceparent: string | undefined, work: () => T): T {
  return traceparent === undefined ? work() : withLogContext(traceFields(traceparent), work);
}
