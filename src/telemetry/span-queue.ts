import { encodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { ByteText } from "./byte-text.ts";
import type { SpanFormat } from "./light-spans.ts";
import type { SpanSender } from "./otlp-sender.ts";

/** Spans in one request to the collector. */
const batchSpans = 512;
/** Longest wait of a span for others. */
const waitMs = 1000;

const COMMA = encodeUtf8(",");

/** Finished spans on their way to the collector. */
export interface SpanQueue<Span> {
  /** Writes a span down and keeps nothing of it. Never waits: where too many wait already, it is lost and counted. */
  push: (span: Span) => void;
  /** Resolves when all that waits has been sent, or lost. */
  flush(): Promise<void>;
}

/** Sends spans in batches, one at a time. */
export function createSpanQueue<Span>(
  sender: SpanSender,
  format: SpanFormat<Span>,
): SpanQueue<Span> {
  const batches = createBatches(format);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending: Promise<void> | undefined;
  const sendAll = async (): Promise<void> => {
    for (let batch = batches.take(); batch; batch = batches.take()) {
      const { text, spans } = batch;
      await sender.send(spans, () => {
        text.bytes(format.end);
        return text.written();
      });
      batches.giveBack(text);
    }
    // In the turn of the last look: what comes from now on begins a sending of its own.
    sending = undefined;
    if (batches.isFilling()) timer ??= later();
  };
  const start = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (batches.isWaiting()) sending ??= sendAll();
  };
  const flush = async (): Promise<void> => {
    // One batch, however many spans come while it is sent: else a slow collector would get each few by themselves.
    batches.close();
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
      const added = batches.add(span);
      if (added === "lost") sender.lose(1);
      else if (sending !== undefined) return;
      else if (added === "filled") start();
      else timer ??= later();
    },
    flush,
  };
}

interface Batch {
  text: ByteText;
  spans: number;
}

interface Batches<Span> {
  /** Whether the span filled its batch, or is lost. */
  add(span: Span): "added" | "filled" | "lost";
  /** Nothing more comes to the one that is being filled. */
  close(): void;
  /** The first of those that are closed. */
  take(): Batch | undefined;
  /** The memory of a batch that was sent. */
  giveBack(text: ByteText): void;
  /** Whether any is closed. */
  isWaiting(): boolean;
  isFilling(): boolean;
}

function createBatches<Span>({ begin, write }: SpanFormat<Span>): Batches<Span> {
  const closed: Batch[] = [];
  let filling: Batch | undefined;
  // One is filled while another is sent; what a rush took beside them is given up.
  let spare: ByteText | undefined;
  const newBatch = (): Batch => {
    const text = spare ?? new ByteText(limits.traceBatchBytesMax);
    spare = undefined;
    text.clear();
    text.bytes(begin);
    return { text, spans: 0 };
  };
  const close = (): void => {
    if (filling !== undefined) closed.push(filling);
    filling = undefined;
  };
  return {
    add(span) {
      if (closed.length * batchSpans >= limits.traceSpansQueuedMax) return "lost";
      const batch = (filling ??= newBatch());
      if (batch.spans > 0) batch.text.bytes(COMMA);
      write(span, batch.text);
      batch.spans++;
      if (batch.spans < batchSpans && batch.text.length < limits.traceBatchBytesMax) return "added";
      close();
      return "filled";
    },
    close,
    take: () => closed.shift(),
    giveBack: (text) => void (spare = text),
    isWaiting: () => closed.length > 0,
    isFilling: () => filling !== undefined,
  };
}
