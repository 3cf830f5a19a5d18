import { trace, type Context, type Span } from "@opentelemetry/api";
import type { ReadableSpan, SpanProcessor, Span as SdkSpan } from "@opentelemetry/sdk-trace-base";
import { limits } from "../limits.ts";

/** How long the spans of a request may go on after its answer: hooks run after it, and streams. */
const lateMs = 5000;

/** All that may be said of a request. The framework's spans would say its body, its headers and its cookies too. */
const ATTRIBUTES: ReadonlySet<string> = new Set([
  "http.request.method",
  "http.route",
  "http.response.status_code",
  "http.request.resend_count",
  "server.address",
  "query_id",
  "message_id",
  "http.request.body.size",
  "http.response.body.size",
  "url.path",
  "url.scheme",
  "request_id",
  "error.type",
]);

interface Group {
  /** Spans that have not ended. */
  open: Map<object, SdkSpan>;
  endedMs: number | undefined;
}

/** A processor that keeps the spans of one request together. */
export interface SpanGroups extends SpanProcessor {
  /** The request of this span has been answered. */
  ended(span: Span): void;
  /** Ends what is open. */
  endAll(): void;
  /** Requests with spans that have not ended. */
  readonly size: number;
}

/**
 * Ends spans that whoever began them forgets when a request fails or its client goes, and takes out of spans what nobody
 * may read there.
 */
export function createSpanGroups(now: () => number = () => performance.now()): SpanGroups {
  const groupOf = new WeakMap<object, Group>();
  const groups = new Set<Group>();
  const endGroup = (group: Group): void => {
    groups.delete(group);
    for (const span of group.open.values()) span.end();
  };
  const sweep = (): void => {
    for (const group of groups)
      if (group.endedMs !== undefined && now() - group.endedMs >= lateMs) endGroup(group);
  };
  const timer = setInterval(sweep, lateMs / 2);
  timer.unref();
  return {
    onStart(span: SdkSpan, parentContext: Context) {
      const parent = trace.getSpan(parentContext);
      const group = (parent === undefined ? undefined : groupOf.get(parent)) ?? {
        open: new Map<object, SdkSpan>(),
        endedMs: undefined,
      };
      groupOf.set(span, group);
      group.open.set(span, span);
      groups.add(group);
      // The framework names the steps after functions, many of which have no name.
      if (span.name === "") span.updateName("hook");
      if (groups.size <= limits.traceRequestsOpenMax) return;
      for (const oldest of groups) {
        endGroup(oldest);
        break;
      }
    },
    onEnd(span: ReadableSpan) {
      tidy(span);
      const group = groupOf.get(span);
      if (group === undefined) return;
      group.open.delete(span);
      if (group.open.size === 0) groups.delete(group);
    },
    ended(span) {
      const group = groupOf.get(span);
      if (group !== undefined) group.endedMs = now();
    },
    endAll() {
      for (const group of groups) endGroup(group);
    },
    get size() {
      return groups.size;
    },
    forceFlush: async () => {},
    async shutdown() {
      clearInterval(timer);
    },
  };
}

/** Keeps what is known to be harmless: messages of errors may repeat what somebody wrote. */
function tidy(span: ReadableSpan): void {
  for (const name of Object.keys(span.attributes))
    if (!ATTRIBUTES.has(name)) delete span.attributes[name];
  for (const { attributes = {} } of span.events)
    for (const name of Object.keys(attributes))
      if (name !== "exception.type") delete attributes[name];
  delete span.status.message;
}
