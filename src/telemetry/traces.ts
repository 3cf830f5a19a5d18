import type { Config } from "../config.ts";
import { openLightTraces } from "./light-traces.ts";
import { getLogger, withLogContext } from "./logs.ts";
import { metrics } from "./metrics.ts";
import { runIn } from "./run-in-span.ts";
import { traceFields } from "./trace-context.ts";

const log = getLogger("telemetry");

/** What is known of a request when its span begins. */
export interface RequestStart {
  method: string;
  /** Route template, which names the span. */
  route: string;
  path: string;
  requestId: string;
  headers: Pick<Headers, "get">;
}

/** The span of one request. */
export interface RequestSpan {
  /** `traceparent` of what the request causes. */
  readonly traceparent: string;
  /** Does something as a part of the request. */
  run<T>(work: () => T): T;
  end(ended: { status: number; error: unknown }): void;
}

/** A span that runs until it ends well or fails. */
export interface RunningSpan {
  readonly traceparent: string;
  /** Does something as a part of it. */
  run<T>(work: () => T): T;
  end(): void;
  /** Ends it as failed, by the kind of the error only: a message may repeat what somebody wrote. */
  fail(error: unknown): void;
}

/** A part of a trace that goes on elsewhere, or later. */
export interface Continued {
  /** `traceparent` as it was kept; undefined where there was no trace. */
  traceparent: string | undefined;
  name: string;
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

function withTraceFields<T>(traceparent: string | undefined, work: () => T): T {
  return traceparent === undefined ? work() : withLogContext(traceFields(traceparent), work);
}
