import {
  ROOT_CONTEXT,
  trace,
  TraceFlags,
  type Context,
  type SpanContext,
} from "@opentelemetry/api";
import { createTraceState, type TraceState } from "@opentelemetry/api";
import { limits } from "../limits.ts";
import { parseTraceparent } from "./trace-context.ts";

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
  const traceState = readTraceState(tracestate);
  return {
    traceId,
    spanId,
    traceFlags: flags & TraceFlags.SAMPLED,
    isRemote: true,
    ...(traceState === undefined ? {} : { traceState }),
  };
}

/** The context below such a span. */
export function remoteContext(remote: Remote): Context {
  const span = remoteSpan(remote);
  return span === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, span);
}

/** `tracestate` is handed on as it came; one that is too long is left out, as its standard allows. */
function readTraceState(text: string | null | undefined): TraceState | undefined {
  if (text === null || text === undefined || text === "") return undefined;
  return text.length > limits.traceStateBytesMax ? undefined : createTraceState(text);
}
