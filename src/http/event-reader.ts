import { encodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";

const NOTHING = encodeUtf8("");

/** What one reader of an event stream has still to be sent, bounded: who reads too slowly is cut off. */
export class EventReader {
  readonly epoch: string;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  get isIdle(): boolean {
    return this.#bytes === 0;
  }

  push(event: Uint8Array): void {
    this.#bytes += event.byteLength;
    // What was left out comes again by the id of the last event that was read.
    if (this.#bytes > limits.eventBytesBufferedMax) this.end();
    else this.#waiting.push(event);
    this.#wake?.();
  }

  /** Nothing more comes, and what waits is forgotten. */
  end(): void {
    this.#ended = true;
    this.#waiting = [];
    this.#wake?.();
  }

  /** All that waits, once there is something; empty when the reader was ended. */
  async take(): Promise<Uint8Array> {
    while (this.#waiting.length === 0 && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    const [first = NOTHING, ...others] = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }
}
