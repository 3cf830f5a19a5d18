import { limits } from "../limits.ts";

/** Where in a trace something happens: what W3C Trace Context carries between programs. */
export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  traceId: string;
  /** 16 lower-case hex digits, not all zero. */
  spanId: string;
  /** Bit 0: the trace is kept. */
  flags: number;
}

/** A place in a trace as it goes to another program, or is kept for later. */
export interface CarriedTrace {
  traceparent: string;
  /** What other systems say of the trace; undefined where they say nothing. */
  tracestate: string | undefined;
}

/** Where the ids are in a `traceparent`. */
export const TRACE_ID = { from: 3, to: 35 } as const;
export const SPAN_ID = { from: 36, to: 52 } as const;

/** `version-traceid-parentid-flags`; a later version may have more behind it (W3C Trace Context, section 3.2.2). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a `traceparent` header; undefined for one that says nothing, which by the standard is as if there were none. */
export function parseTraceparent(text: string | null | undefined): TraceContext | undefined {
  const [, version, traceId = "", spanId = "", flags = "", more] =
    TRACEPARENT.exec(text?.trim() ?? "") ?? [];
  if (version === undefined || version === "ff") return undefined;
  if (version === "00" && more !== undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

/** A `traceparent` header of version 00. */
export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${(flags & 1) === 1 ? "01" : "00"}`;
}

/** What a `tracestate` may be made of; servers of HTTP refuse requests with other characters (W3C Trace Context, 3.3.1). */
const STATE = /^[\t -~]+$/;

/** `tracestate` is handed on as it came; one that is too long or is none is left out, as its standard allows. */
export function usableState(text: string | null | undefined): string | undefined {
  const isUsable =
    typeof text === "string" && text.length <= limits.traceStateBytesMax && STATE.test(text);
  return isUsable ? text : undefined;
}

/** Of the program's own `traceparent`, which has a fixed form. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(TRACE_ID.from, TRACE_ID.to);
}

/** As `traceIdOf`. */
export function spanIdOf(traceparent: string): string {
  return traceparent.slice(SPAN_ID.from, SPAN_ID.to);
}

/** What log lines bear of a trace; nothing without one. */
export function traceFields(traceparent: string | undefined): Record<string, string> {
  if (traceparent === undefined) return {};
  const [trace_id, span_id] = [traceIdOf(traceparent), spanIdOf(traceparent)];
  return traceparent.endsWith("01")
    ? { trace_id, span_id }
    : { trace_id, span_id, trace_flags: "00" };
}
