import type { Config } from "../config.ts";
import { getLogger } from "./logs.ts";
import { metrics } from "./metrics.ts";

const log = getLogger("telemetry");

/** Longest wait for a collector's answer to a batch. */
const answerMsMax = 10_000;
const LATE = `no answer within ${answerMsMax / 1000} s`;

/** A longer answer is not read: one that says what was not taken is a hundred. */
const answerBytesMax = 64 * 1024;

const pauseMsFirst = 1000;
const pauseMsMax = 60_000;

const exported = metrics.counter("trace_spans_exported_total").of({});
const lost = metrics.counter("trace_spans_lost_total").of({});

/** Where a collector listens for OTLP over HTTP by default. */
const DEFAULT_ENDPOINT = "http://localhost:4318";

/** Where the collector is, and what it wants to see. */
export type Collector = Pick<Config, "otelEndpoint" | "otelHeaders">;

/** The address of one kind of things at the collector. */
export function collectorUrl(endpoint: string | undefined, path: string): string {
  return `${(endpoint ?? DEFAULT_ENDPOINT).replace(/\/$/, "")}${path}`;
}

/** Sends batches of spans; what a collector does not take is lost and counted. */
export interface SpanSender {
  /**
   * Sends an `ExportTraceServiceRequest` in JSON with so many spans, which is made only if it is sent. Never throws. Bytes are read
   * before it returns.
   */
  send(count: number, body: () => string | Uint8Array<ArrayBuffer>): Promise<void>;
  /** Counts spans that could not wait. */
  lose(count: number): void;
}

/**
 * A sender that is patient with a collector that is away: one warning, growing pauses in which batches are dropped, and a
 * line when it is back.
 */
export function createSpanSender(
  { otelEndpoint, otelHeaders }: Collector,
  now: () => number = () => performance.now(),
): SpanSender {
  const url = collectorUrl(otelEndpoint, "/v1/traces");
  // Without a password that may stand in it.
  const endpoint = new URL(url).origin;
  const headers = { "content-type": "application/json", ...otelHeaders };
  let pauseMs = 0;
  let pausedUntilMs = -Infinity;
  let lostSince = 0;
  let rejecting = false;
  const lose = (count: number): void => {
    lost.add(count);
    lostSince += count;
  };
  const onTaken = (count: number, rejected: number): void => {
    exported.add(count - rejected);
    if (pauseMs > 0) log.info("telemetry.export_resumed", { endpoint, spans_lost: lostSince });
    pauseMs = 0;
    lostSince = 0;
    onRejected(count, rejected);
  };
  const onRejected = (count: number, rejected: number): void => {
    lost.add(rejected);
    const error = `the collector rejected ${rejected} of ${count} spans`;
    if (rejected > 0 && !rejecting) log.warning("telemetry.export_failed", { endpoint, error });
    rejecting = rejected > 0;
  };
  const onFailed = (count: number, error: string): void => {
    lose(count);
    if (pauseMs === 0) log.warning("telemetry.export_failed", { endpoint, error });
    pauseMs = Math.min(pauseMsMax, pauseMs === 0 ? pauseMsFirst : pauseMs * 2);
    pausedUntilMs = now() + pauseMs;
  };
  return {
    lose,
    async send(count, body) {
      if (now() < pausedUntilMs) {
        lose(count);
        return;
      }
      // One that is done with goes at once: signals with a time of their own stay until it is over, hundreds of them.
      const waiting = new AbortController();
      const timer = setTimeout(() => waiting.abort(new Error(LATE)), answerMsMax);
      try {
        const { signal } = waiting;
        const response = await fetch(url, { method: "POST", headers, body: body(), signal });
        const rejected = Math.min(count, await rejectedBy(response));
        if (response.ok) onTaken(count, rejected);
        else onFailed(count, `the collector answered ${response.status}`);
      } catch (error) {
        onFailed(count, error instanceof Error ? error.message : String(error));
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Spans that a collector did not take while it took the others (`ExportTracePartialSuccess`). */
async function rejectedBy(response: Response): Promise<number> {
  const length = Number(response.headers.get("content-length") ?? Infinity);
  if (!response.ok || length > answerBytesMax) {
    await response.body?.cancel();
    return 0;
  }
  return Number(/"rejectedSpans"\s*:\s*"?(\d+)/.exec(await response.text())?.[1] ?? 0);
}
