import { write } from "node:fs";
import { limits } from "../limits.ts";

/**
 * A bounded, non-blocking writer of text lines to a file descriptor. `push` never waits: lines are gathered and written
 * by the thread pool, one write under way at a time, so that a reader that stalls costs dropped lines and no request.
 * (A synchronous write to a stalled pipe holds the event loop up, and a logger that fsyncs each short record was
 * measured at 400 requests/s.)
 */
export class LineSink implements AsyncDisposable {
  readonly #descriptor: number;
  readonly #flushMs: number;
  #lines: string[] = [];
  #writing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dropped = 0;
  #broken = false;

  constructor(descriptor: number, options: { flushMs?: number } = {}) {
    this.#descriptor = descriptor;
    this.#flushMs = options.flushMs ?? 50;
  }

  /** Lines lost so far because the buffer was full or the descriptor failed. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes one line, its newline included. Drops and counts it when the buffer is full. */
  push(line: string): void {
    if (this.#broken || this.#lines.length >= limits.logLinesBufferedMax) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    if (this.#timer === undefined && this.#writing === undefined) {
      this.#timer = setTimeout(() => void this.flush(), this.#flushMs);
      this.#timer.unref();
    }
  }

  /** Resolves when all that was pushed before the call is written, or was dropped because the descriptor failed. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing !== undefined || this.#lines.length > 0) {
      this.#writing ??= this.#writeAll();
      await this.#writing;
    }
  }

  async #writeAll(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    try {
      await writeFully(this.#descriptor, Buffer.from(lines.join("")));
    } catch {
      // The reader is gone or the disk is full: there is nobody to tell but the counter.
      this.#dropped += lines.length;
      this.#broken = true;
    } finally {
      this.#writing = undefined;
    }
  }

  /** Flushes, but waits no longer than a second for a reader that stalls. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, 1000);
    await Promise.race([this.flush(), promise]);
    clearTimeout(timer);
    this.#broken = true;
  }
}

async function writeFully(descriptor: number, bytes: Buffer): Promise<void> {
  let start = 0;
  while (start < bytes.length) {
    try {
      start += await writeSome(descriptor, bytes.subarray(start));
    } catch (error) {
      // A pipe that somebody set to non-blocking answers "again" while it is full.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      await Bun.sleep(10);
    }
  }
}

function writeSome(descriptor: number, bytes: Buffer): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  write(descriptor, bytes, (error, written) => (error ? reject(error) : resolve(written)));
  return promise;
}
