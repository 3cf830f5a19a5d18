import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type SpanContext,
  type Tracer,
} from "@opentelemetry/api";
import { errorTypeOf } from "./error-type.ts";
import { remoteContext, type Remote } from "./remote-context.ts";
import { formatTraceparent } from "./trace-context.ts";
import type { RequestSpan, RequestStart } from "./traces.ts";

/** Makes the spans of requests in detailed traces: such that others can have theirs below them. */
export function fullRequests(
  tracer: Tracer,
): (start: RequestStart, onEnd: (span: Span) => void) => RequestSpan {
  return (start, onEnd) => {
    const parent = remoteContext(remoteOf(start));
    const attributes = {
      "http.request.method": start.method,
      "http.route": start.route,
      "url.path": start.path,
      request_id: start.requestId,
    };
    const options = { kind: SpanKind.SERVER, attributes };
    const span = tracer.startSpan(`${start.method} ${start.route}`, options, parent);
    const active = trace.setSpan(parent, span);
    return {
      traceparent: traceparentOf(span.spanContext()),
      run: (work) => context.with(active, work),
      end({ status, error }) {
        span.setAttribute("http.response.status_code", status);
        if (status >= 500) setFailed(span, errorTypeOf(error));
        span.end();
        onEnd(span);
      },
    };
  };
}

/** Marks a span as failed, by the kind of the error only: a message may repeat what somebody wrote. */
export function setFailed(span: Span, errorType: string): void {
  span.setAttribute("error.type", errorType);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** `traceparent` of what a span causes. */
export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return formatTraceparent({ traceId, spanId, flags: traceFlags });
}

function remoteOf({ headers }: RequestStart): Remote {
  const traceparent = headers.get("traceparent");
  // It means nothing alone.
  return traceparent === null ? {} : { traceparent, tracestate: headers.get("tracestate") };
}
