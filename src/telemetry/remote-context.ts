import {
  ROOT_CONTEXT,
  trace,
  TraceFlags,
  type Context,
  type SpanContext,
} from "@opentelemetry/api";
import { createTraceState } from "@opentelemetry/api";
import { parseTraceparent, usableState } from "./trace-context.ts";

/** What came with a request, or was kept. */
export interface Remote {
  traceparent?: string | null | undefined;
  tracestate?: string | null | undefined;
}

/** The span of another program, or of an earlier time; undefined where none is named rightly. */
export function remoteSpan({ traceparent, tracestate }: Remote): SpanContext | undefined {
  const parsed = parseTraceparent(traceparent);
  if (parsed === undefined) return undefined;
  const { traceId, spanId, flags } = parsed;
  const state = usableState(tracestate);
  return {
    traceId,
    spanId,
    traceFlags: flags & TraceFlags.SAMPLED,
    isRemote: true,
    ...(state === undefined ? {} : { traceState: createTraceState(state) }),
  };
}

/** The context below such a span. */
export function remoteContext(remote: Remote): Context {
  const span = remoteSpan(remote);
  return span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, span);
}
