import { write } from "node:fs";
import { limits } from "../limits.ts";

/** Bytes that are written at once: a file is looked at between two such writes. */
const WRITE_BYTES = 256 * 1024;

const NEWLINE = 10;
const NOTHING = Buffer.alloc(0);

/** Where lines go. */
export interface LineTarget extends AsyncDisposable {
  /** Is told before so many bytes of whole lines are written. */
  prepare(bytes: number): Promise<void>;
  /** Writes the first of these bytes, at least one; gives how many. */
  write(bytes: Buffer): Promise<number>;
}

export interface LineSinkOptions {
  /** Longest time that a line waits for others. */
  flushMs?: number;
  /** Is told how many lines were lost, once lines can be written again. */
  onLost?: (lines: number) => void;
}

/**
 * A bounded, non-blocking writer of text lines to a file descriptor or another target. `push` never waits: lines are
 * gathered and written by the thread pool, one write under way at a time, so that a reader that stalls costs dropped
 * lines and no request. (A synchronous write to a stalled pipe holds the event loop up, and a logger that fsyncs each
 * short record was measured at 400 requests/s.) A disk that was full is written to again; no line is torn by that.
 */
export class LineSink implements AsyncDisposable {
  readonly #target: LineTarget;
  readonly #flushMs: number;
  readonly #onLost: (lines: number) => void;
  #lines: string[] = [];
  /** The rest of a line whose beginning is written. */
  #torn: Buffer = NOTHING;
  #writing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dropped = 0;
  #told = 0;
  #broken = false;

  constructor(target: number | LineTarget, options: LineSinkOptions = {}) {
    this.#target = typeof target === "number" ? descriptorTarget(target) : target;
    this.#flushMs = options.flushMs ?? 50;
    this.#onLost = options.onLost ?? (() => {});
  }

  /** Lines lost so far because the buffer was full or the target failed. */
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
    if (this.#timer === undefined && this.#writing === undefined) this.#flushSoon();
  }

  /** Resolves when all that was pushed before the call is written, or was dropped because the target failed. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing !== undefined || this.#lines.length > 0) {
      this.#writing ??= this.#writeAll();
      await this.#writing;
    }
  }

  #flushSoon(): void {
    this.#timer = setTimeout(() => void this.flush(), this.#flushMs);
    this.#timer.unref();
  }

  async #writeAll(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    let { left, error } = await writeFully(this.#target, this.#torn);
    this.#torn = left;
    let at = 0;
    while (error === undefined && at < lines.length) {
      const end = endOfWrite(lines, at);
      const bytes = Buffer.from(lines.slice(at, end).join(""));
      ({ left, error } = await writeLines(this.#target, bytes));
      this.#torn = restOfLine(bytes, left);
      at = error === undefined ? end : at + linesBegun(bytes, left);
    }
    this.#dropped += Math.max(0, lines.length - at);
    if (error === undefined) this.#tellLost();
    else if (isGone(error)) this.#break();
    this.#writing = undefined;
  }

  /** Nobody reads any more; a disk that is full can have room again. */
  #break(): void {
    this.#broken = true;
    if (this.#torn.length > 0) this.#dropped++;
    this.#torn = NOTHING;
  }

  #tellLost(): void {
    const lost = this.#dropped - this.#told;
    this.#told = this.#dropped;
    if (lost > 0) this.#onLost(lost);
  }

  /** Flushes, but waits no longer than a second for a reader that stalls. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), 1000);
    const flushed = this.flush().then(() => true);
    const isWritten = await Promise.race([flushed, promise]);
    clearTimeout(timer);
    this.#broken = true;
    if (isWritten) await this.#target[Symbol.asyncDispose]();
  }
}

/** What was not written, and why. */
interface Written {
  left: Buffer;
  error: unknown;
}

async function writeLines(target: LineTarget, bytes: Buffer): Promise<Written> {
  try {
    await target.prepare(bytes.length);
  } catch (error) {
    return { left: bytes, error };
  }
  return writeFully(target, bytes);
}

async function writeFully(target: LineTarget, bytes: Buffer): Promise<Written> {
  let left = bytes;
  while (left.length > 0) {
    try {
      left = left.subarray(await target.write(left));
    } catch (error) {
      // A pipe that somebody set to non-blocking answers "again" while it is full.
      if (codeOf(error) !== "EAGAIN") return { left, error };
      await Bun.sleep(10);
    }
  }
  return { left, error: undefined };
}

/** The number of a line behind those that are written together with the one at `start`. */
function endOfWrite(lines: readonly string[], start: number): number {
  let length = 0;
  for (let at = start; at < lines.length; at++) {
    length += lines[at]?.length ?? 0;
    if (length > WRITE_BYTES) return at + 1;
  }
  return lines.length;
}

/** Lines of which something is written. */
function linesBegun(bytes: Buffer, left: Buffer): number {
  const written = bytes.subarray(0, bytes.length - left.length);
  let count = restOfLine(bytes, left).length > 0 ? 1 : 0;
  for (let at = written.indexOf(NEWLINE); at >= 0; at = written.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** What is missing of the line that was being written. */
function restOfLine(bytes: Buffer, left: Buffer): Buffer {
  const written = bytes.length - left.length;
  if (written === 0 || bytes[written - 1] === NEWLINE) return NOTHING;
  return left.subarray(0, left.indexOf(NEWLINE) + 1);
}

function isGone(error: unknown): boolean {
  return codeOf(error) === "EPIPE" || codeOf(error) === "EBADF";
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** A descriptor that somebody else opened, and closes. */
function descriptorTarget(descriptor: number): LineTarget {
  return {
    prepare: async () => {},
    write(bytes) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      write(descriptor, bytes, (error, written) => (error ? reject(error) : resolve(written)));
      return promise;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
