import type { SlipstreamError } from "./error.ts";

export interface EventQueueOptions {
  /** Events that wait for the reader before `full()` is true. */
  eventsMax: number;
  /** Half of them are read: there is room again. */
  onRoom(): void;
  /** The reader left its loop. */
  onReturn(): void;
}

/** Events on their way to one `for await` loop. Nothing is thrown away: who fills it looks at `full` and stops. */
export class EventQueue<E> implements AsyncIterableIterator<E, undefined> {
  readonly #options: EventQueueOptions;
  readonly #events: E[] = [];
  readonly #readers: {
    resolve: (result: IteratorResult<E, undefined>) => void;
    reject: (error: SlipstreamError) => void;
  }[] = [];
  #ended: { error: SlipstreamError | undefined } | undefined;
  #wasFull = false;

  constructor(options: EventQueueOptions) {
    this.#options = options;
  }

  get full(): boolean {
    return this.#events.length >= this.#options.eventsMax;
  }

  push(event: E): void {
    if (this.#ended !== undefined) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader.resolve({ done: false, value: event });
    this.#events.push(event);
    this.#wasFull ||= this.full;
  }

  /** What waits is still read; then the loop ends, or throws the error. */
  end(error: SlipstreamError | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    for (const reader of this.#readers.splice(0)) {
      if (error === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(error);
    }
  }

  async next(): Promise<IteratorResult<E, undefined>> {
    const event = this.#events.shift();
    if (event !== undefined) {
      this.#tellRoom();
      return { done: false, value: event };
    }
    if (this.#ended !== undefined) {
      const { error } = this.#ended;
      // Thrown once, as from a generator.
      this.#ended = { error: undefined };
      if (error !== undefined) throw error;
      return { done: true, value: undefined };
    }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  async return(): Promise<IteratorResult<E, undefined>> {
    this.#events.length = 0;
    this.end(undefined);
    this.#options.onReturn();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #tellRoom(): void {
    if (!this.#wasFull || this.#events.length > this.#options.eventsMax / 2) return;
    this.#wasFull = false;
    this.#options.onRoom();
  }
}
