import type { WebhookDelivery } from "../store/stored-query-store.ts";
import { traceFields } from "../telemetry/trace-context.ts";
import { beginSpan, type RunningSpan, type SpanAttributes } from "../telemetry/traces.ts";
import type { SendOutcome } from "./webhook-sender.ts";

/** What is said of a try in its span. Of the URL only the host: its path may hold a secret. */
export interface AttemptOptions {
  url: string;
  queryId: string;
  messageId: string;
}

/** A try to send matches, as a part of a trace. */
export interface WebhookAttempt {
  /** Headers by which the receiver goes on with the trace (W3C Trace Context). */
  headers: Readonly<Record<string, string>>;
  /** Of its log lines. */
  fields: Readonly<Record<string, string>>;
  run<T>(work: () => T): T;
  /** `undefined`: it was cut off by the stop of the server. */
  end(outcome: SendOutcome | undefined): void;
}

/**
 * Begins the span of a request: below the trace that the first of its matches belongs to, with links to those of the
 * others, or at the head of a trace of its own where none is known. Nothing where traces are off.
 */
export function beginAttempt(
  batch: readonly WebhookDelivery[],
  { url, queryId, messageId }: AttemptOptions,
): WebhookAttempt {
  const known = batch.filter(({ traceparent }) => traceparent !== null);
  const [traceparent, ...links] = new Set(known.flatMap((one) => one.traceparent ?? []));
  const tracestate = known[0]?.tracestate ?? undefined;
  const span = beginSpan({ traceparent, tracestate, name: "webhook", kind: "client", links });
  if (span === undefined) return UNTRACED;
  const begun = beginningOf({ url, queryId, messageId }, batch);
  return {
    headers: headersOf(span),
    fields: traceFields(span.traceparent),
    run: (work) => span.run(work),
    end(outcome) {
      const { status, errorType } = endOf(outcome);
      const answered = status === undefined ? {} : { "http.response.status_code": status };
      span.end({ attributes: { ...begun, ...answered }, errorType });
    },
  };
}

const UNTRACED: WebhookAttempt = {
  headers: {},
  fields: {},
  run: (work) => work(),
  end: () => {},
};

function headersOf({ traceparent, tracestate }: RunningSpan): Record<string, string> {
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}

/** Names of the semantic conventions for HTTP clients, and of our log lines. */
function beginningOf(
  { url, queryId, messageId }: AttemptOptions,
  batch: readonly WebhookDelivery[],
): SpanAttributes {
  return {
    "http.request.method": "POST",
    "server.address": new URL(url).host,
    "http.request.resend_count": batch[0]?.attempts ?? 0,
    query_id: queryId,
    message_id: messageId,
  };
}

function endOf(outcome: SendOutcome | undefined): { status?: number; errorType?: string } {
  if (outcome === undefined) return { errorType: "cancelled" };
  switch (outcome.kind) {
    case "taken":
      return { status: outcome.status };
    case "gone":
      return { status: outcome.status, errorType: String(outcome.status) };
    case "failed": {
      const { status, errorType } = outcome;
      return status === undefined ? { errorType } : { status, errorType };
    }
    default:
      return outcome satisfies never;
  }
}
