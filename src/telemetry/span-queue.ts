import { limits } from "../limits.ts";
import type { SpanSender } from "./otlp-sender.ts";

/** Spans in one request to the collector. */
const batchSpans = 512;
/** Longest wait of a span for others. */
const waitMs = 1000;

/** Finished spans on their way to the collector. */
export interface SpanQueue<Span> {
  /** Takes a span. Never waits: where too many wait already, it is lost and counted. */
  push(span: Span): void;
  /** Resolves when all that waits has been sent, or lost. */
  flush(): Promise<void>;
}

/** Sends spans in batches, one at a time. `bodyOf` makes the request of a batch, when it is about to be sent. */
export function createSpanQueue<Span>(
  sender: SpanSender,
  bodyOf: (spans: readonly Span[]) => string,
): SpanQueue<Span> {
  let waiting: Span[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending: Promise<void> | undefined;
  const sendAll = async (everything: () => boolean): Promise<void> => {
    while (waiting.length >= (everything() ? 1 : batchSpans)) {
      const batch = waiting.slice(0, batchSpans);
      waiting = waiting.slice(batchSpans);
      await sender.send(batch.length, () => bodyOf(batch));
    }
  };
  let flushing = false;
  const start = (): void => {
    clearTimeout(timer);
    timer = undefined;
    sending ??= sendAll(() => flushing).finally(() => {
      sending = undefined;
      flushing = false;
      if (waiting.length > 0) timer ??= later();
    });
  };
  const flush = async (): Promise<void> => {
    flushing = true;
    start();
    await sending;
  };
  const later = () => {
    const soon = setTimeout(() => void flush(), waitMs);
    soon.unref();
    return soon;
  };
  return {
    push(span) {
      if (waiting.length >= limits.traceSpansQueuedMax) {
        sender.lose(1);
        return;
      }
      waiting.push(span);
      if (waiting.length >= batchSpans && sending === undefined) start();
      else if (sending === undefined) timer ??= later();
    },
    flush,
  };
}
