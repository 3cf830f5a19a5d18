const encoder = new TextEncoder();

/** Digits of one half of a number of sixteen. */
const HALF = 100_000_000;
const HALF_DIGITS = 8;
const ZERO = 48;

/**
 * Text that is written as UTF-8 into one piece of memory, which grows as needed and is used again: text that is put
 * together of strings, and kept until it is sent, costs the collector of garbage more than all the rest of a light span.
 */
export class ByteText {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param bytes room at first */
  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes);
  }

  /** Bytes written. */
  get length(): number {
    return this.#length;
  }

  /** What was written, in the same memory: to be read before the next write. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** Text that is encoded already. */
  bytes(part: Uint8Array): void {
    this.#reserve(part.length);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
  }

  /** Any text. */
  text(text: string): void {
    // As many bytes as a unit of UTF-16 can take.
    this.#reserve(text.length * 3);
    this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
  }

  /** Text of ASCII, short: faster than a call of the encoder. */
  ascii(text: string): void {
    this.#reserve(text.length);
    this.partAt(this.#length, text, { from: 0, to: text.length });
    this.#length += text.length;
  }

  /** A part of a text of ASCII over what stands at a place. */
  partAt(at: number, text: string, { from, to }: { from: number; to: number }): void {
    const bytes = this.#bytes;
    for (let index = from; index < to; index++) bytes[at + index - from] = text.charCodeAt(index);
  }

  /** A whole number of at most sixteen digits, with zeros before it, over what stands at a place. */
  digitsAt(at: number, number: number): void {
    const high = Math.floor(number / HALF);
    this.#halfAt(at, high);
    this.#halfAt(at + HALF_DIGITS, number - high * HALF);
  }

  #halfAt(at: number, half: number): void {
    const bytes = this.#bytes;
    let rest = half | 0;
    for (let index = at + HALF_DIGITS - 1; index >= at; index--) {
      const next = (rest / 10) | 0;
      bytes[index] = ZERO + rest - next * 10;
      rest = next;
    }
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
