import { callHandler } from "./call-handler.ts";
import { SlipstreamError } from "./error.ts";
import { EventQueue } from "./event-queue.ts";
import type { StreamEvent } from "./events.ts";
import type { Subscribed } from "./frames.ts";
import type { ReaderSink, StreamReader } from "./stream-reader.ts";
import type { Position } from "./values.ts";

/** Events that may wait for one `for await` loop: a second or so of a busy room. */
const EVENTS_WAITING_MAX = 1024;

/** What the server said when the subscription began. */
export interface Ready {
  /** The stream's name on the wire. */
  sub: string;
  /** False where no position was given, or what came since it is not all there. */
  recovered: boolean;
  /** The threshold and the model of a standing query. */
  minScore: number | undefined;
  model: string | undefined;
}

export interface SubscriptionOptions<F> {
  reader(sink: ReaderSink<F>): StreamReader<F>;
  /** Calls the handlers. */
  dispatch(event: F | StreamEvent): void;
  ended(error: SlipstreamError | undefined): void;
}

interface Waiter {
  resolve: (ready: Ready) => void;
  reject: (error: SlipstreamError) => void;
}

/**
 * One room or one standing query, over any number of connections; also an async iterable of its events. A loop has a
 * buffer of 1,024 events. When it is full, the subscription steps back from the server and resumes from its position
 * when half of the buffer is read: a slow loop loses nothing that the server's history still has, and else reads a gap.
 */
export class Subscription<F> implements AsyncIterable<F | StreamEvent> {
  readonly #options: SubscriptionOptions<F>;
  readonly #reader: StreamReader<F>;
  readonly #queues = new Set<EventQueue<F | StreamEvent>>();
  #waiters: Waiter[] = [];
  #ready: Ready | undefined;
  #ended: { error: SlipstreamError | undefined } | undefined;

  constructor(options: SubscriptionOptions<F>) {
    this.#options = options;
    this.#reader = options.reader({
      emit: (event) => this.#emit(event),
      ready: (frame) => this.#begin(frame),
      ended: (error) => this.#end(error),
    });
  }

  /** Where this reader stands; keep it to go on from there another day, as `since`. */
  get position(): Position | undefined {
    return this.#reader.position;
  }

  /** When the server has taken it, the first time. @throws SlipstreamError when it is refused */
  ready(): Promise<Ready> {
    if (this.#ready !== undefined) return Promise.resolve(this.#ready);
    return new Promise((resolve, reject) => {
      if (this.#ended === undefined) this.#waiters.push({ resolve, reject });
      else reject(errorOf(this.#ended));
    });
  }

  /** Ends it; loops over it end too. */
  close(): void {
    this.#reader.end(undefined);
  }

  /** Events from this call on. The loop throws where the server ends the subscription. */
  [Symbol.asyncIterator](): AsyncIterableIterator<F | StreamEvent, undefined> {
    const queue = new EventQueue<F | StreamEvent>({
      eventsMax: EVENTS_WAITING_MAX,
      onRoom: () => this.#goOn(),
      onReturn: () => {
        this.#queues.delete(queue);
        this.#goOn();
      },
    });
    if (this.#ended === undefined) this.#queues.add(queue);
    else queue.end(this.#ended.error);
    return queue;
  }

  #begin({ sub, recovered, min_score, model }: Subscribed): void {
    this.#ready = { sub, recovered, minScore: min_score, model };
    for (const { resolve } of this.#waiters.splice(0)) resolve(this.#ready);
  }

  #emit(event: F | StreamEvent): void {
    let full = false;
    for (const queue of this.#queues) {
      queue.push(event);
      full ||= queue.full;
    }
    if (full) this.#reader.pause();
    callHandler(() => this.#options.dispatch(event));
  }

  #goOn(): void {
    if (![...this.#queues].some((queue) => queue.full)) this.#reader.resume();
  }

  #end(error: SlipstreamError | undefined): void {
    this.#ended = { error };
    for (const { reject } of this.#waiters.splice(0)) reject(errorOf(this.#ended));
    for (const queue of this.#queues) queue.end(error);
    this.#queues.clear();
    callHandler(() => this.#options.ended(error));
  }
}

function errorOf({ error }: { error: SlipstreamError | undefined }): SlipstreamError {
  return error ?? new SlipstreamError("closed", "The subscription was closed.");
}
