/** A set of row numbers below a fixed count, one bit each. */
export class RowSet {
  readonly #bits: Uint8Array;
  #size = 0;

  /** An empty set, or the one that `bits` holds; those are taken over and not copied. */
  constructor(rows: number, bits = new Uint8Array((rows + 7) >> 3)) {
    this.#bits = bits;
    for (const byte of bits) this.#size += countBits(byte);
  }

  /** Rows in the set. */
  get size(): number {
    return this.#size;
  }

  has(row: number): boolean {
    return (((this.#bits[row >> 3] ?? 0) >> (row & 7)) & 1) === 1;
  }

  /** True if the row was not in the set. */
  add(row: number): boolean {
    if (this.has(row)) return false;
    this.#bits[row >> 3] = (this.#bits[row >> 3] ?? 0) | (1 << (row & 7));
    this.#size++;
    return true;
  }

  /** The bits, row 0 in the lowest of the first byte; the set's own memory. */
  get bits(): Uint8Array {
    return this.#bits;
  }
}

function countBits(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
