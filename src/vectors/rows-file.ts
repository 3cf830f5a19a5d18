import { closeSync, openSync, writeSync } from "node:fs";
import type { Steps } from "../segments/segment-kind.ts";
import type { RowMatrix } from "./scan.ts";
import { lowerBound } from "../lib/lower-bound.ts";
import { unmap } from "./unmap.ts";
import type { AllowedKeys } from "./vector-index.ts";

/**
 * A flat file, little-endian: vectors float32[rows * dimensions], keys float64[rows], and where they are not trivial
 * `order` int32[live] (rows by ascending key) and `next` int32[rows], each from a multiple of 64 bytes on; then a footer
 * of 64 bytes. The vectors come first because usearch's `exactSearch` reads from the start of a buffer; the footer is
 * written last.
 */
const footerBytes = 64;
const alignment = 64;
/** "SLPVROWS" in ASCII, as two little-endian numbers. */
const magic = [0x56504c53, 0x53574f52] as const;
const formatVersion = 1;
/** Bits of the footer's flags. */
const hasOrder = 1;
const hasNext = 2;

/** Bytes written in one step: 0.2 ms. */
const pieceBytes = 256 * 1024;

/** Key of a row that is in the file only because a graph has it. */
export const noKey = 0;

/** End of a chain. */
export const endOfChain = -1;

export interface RowsContent {
  dimensions: number;
  /** By row; `noKey` for one that must not be found. */
  keys: Float64Array<ArrayBuffer>;
  /** Rows that have a key, by ascending key. */
  order: Int32Array<ArrayBuffer>;
  /** Row -> the next one that shares its graph node; undefined where no two do. */
  next: Int32Array<ArrayBuffer> | undefined;
  /** Nodes of the graph beside the file, 0 where there is none. */
  nodes: number;
  /** The vectors in the order of their rows, in pieces of any number of rows. */
  vectors: Iterable<Float32Array>;
}

interface Layout {
  rows: number;
  dimensions: number;
  live: number;
  nodes: number;
  flags: number;
}

/** Writes a file of rows. @throws where the disk is full; what was written until then stays */
export function* writeRowsFile(path: string, content: RowsContent): Steps<void> {
  const { keys, order, next } = content;
  const isOrdered = order.length === keys.length && order.every((row, at) => row === at);
  const layout: Layout = {
    rows: keys.length,
    dimensions: content.dimensions,
    live: order.length,
    nodes: content.nodes,
    flags: (isOrdered ? 0 : hasOrder) | (next === undefined ? 0 : hasNext),
  };
  const descriptor = openSync(path, "wx");
  try {
    for (const piece of content.vectors) yield* writeArray(descriptor, piece);
    yield* writePadding(descriptor, keys.length * content.dimensions * 4);
    yield* writePadded(descriptor, keys);
    if (!isOrdered) yield* writePadded(descriptor, order);
    if (next !== undefined) yield* writePadded(descriptor, next);
    yield* writeArray(descriptor, footerOf(layout));
  } finally {
    closeSync(descriptor);
  }
}

function* writePadded(descriptor: number, array: Float64Array | Int32Array): Steps<void> {
  yield* writeArray(descriptor, array);
  yield* writePadding(descriptor, array.byteLength);
}

function* writePadding(descriptor: number, bytes: number): Steps<void> {
  yield* writeArray(descriptor, new Uint8Array(padded(bytes) - bytes));
}

function* writeArray(descriptor: number, array: ArrayBufferView): Steps<void> {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  for (let at = 0; at < bytes.length;) {
    at += writeSync(descriptor, bytes, at, Math.min(pieceBytes, bytes.length - at));
    yield;
  }
}

function footerOf({ rows, dimensions, live, nodes, flags }: Layout): Uint32Array {
  const footer = new Uint32Array(footerBytes / 4);
  footer.set([...magic, formatVersion, dimensions, rows, live, nodes, flags]);
  return footer;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Where the sections begin, and what the file's size must be. */
function sectionsOf({ rows, dimensions, live, flags }: Layout) {
  const keysAt = padded(rows * dimensions * 4);
  const orderAt = keysAt + padded(rows * 8);
  const nextAt = orderAt + ((flags & hasOrder) === 0 ? 0 : padded(live * 4));
  const footerAt = nextAt + ((flags & hasNext) === 0 ? 0 : padded(rows * 4));
  return { keysAt, orderAt, nextAt, bytes: footerAt + footerBytes };
}

/** A mapped file of rows. What is read comes from the page cache; nothing is copied. */
export class RowsFile implements RowMatrix {
  readonly dimensions: number;
  readonly size: number;
  /** Nodes that the graph beside the file must have. */
  readonly nodes: number;
  readonly #bytes: Uint8Array;
  readonly #vectors: Float32Array;
  readonly #keys: Float64Array;
  readonly #order: Int32Array | undefined;
  readonly #next: Int32Array | undefined;

  /** @throws Error where the file is no such file, is torn or has other dimensions */
  constructor(path: string, dimensions: number) {
    // Private: a stray write would stay in this process's memory and never reach the file.
    const bytes = Bun.mmap(path, { shared: false });
    this.#bytes = bytes;
    const layout = layoutOf(bytes, dimensions);
    const { keysAt, orderAt, nextAt } = sectionsOf(layout);
    const { rows, live, flags } = layout;
    this.dimensions = dimensions;
    this.size = rows;
    this.nodes = layout.nodes;
    this.#vectors = new Float32Array(bytes.buffer, 0, rows * dimensions);
    this.#keys = new Float64Array(bytes.buffer, keysAt, rows);
    if ((flags & hasOrder) !== 0) this.#order = new Int32Array(bytes.buffer, orderAt, live);
    if ((flags & hasNext) !== 0) this.#next = new Int32Array(bytes.buffer, nextAt, rows);
  }

  matrix(): Float32Array {
    return this.#vectors;
  }

  /** A view of some rows. */
  rowsAt(start: number, end: number): Float32Array {
    return this.#vectors.subarray(start * this.dimensions, end * this.dimensions);
  }

  keyAt(row: number): number {
    return this.#keys[row] ?? noKey;
  }

  /** The next row of the same graph node. */
  nextOf(row: number): number {
    return this.#next?.[row] ?? endOfChain;
  }

  /** Rows that have a key. */
  get live(): number {
    return this.#order?.length ?? this.size;
  }

  /** The row with the key of rank `at` in ascending order. */
  rowByRank(at: number): number {
    return this.#order === undefined ? at : (this.#order[at] ?? endOfChain);
  }

  /** The row of a key, -1 if there is none. O(log rows). */
  rowOf(key: number): number {
    const at = this.#order === undefined ? lowerBound(this.#keys, key) : this.#rank(key, 0);
    const row = at < this.live ? this.rowByRank(at) : -1;
    return row >= 0 && this.keyAt(row) === key ? row : -1;
  }

  /** Rows whose keys are allowed, ascending, by a walk over whichever of the two is shorter. */
  allowedRows(allowed: AllowedKeys): Int32Array {
    const rows = new Int32Array(Math.min(allowed.size, this.size));
    const count =
      allowed.size < this.size ? this.#lookUp(allowed, rows) : this.#pick(allowed, rows);
    return rows.subarray(0, count);
  }

  /** Gives the mapping back; nothing of the file may be read any more. */
  close(): void {
    unmap(this.#bytes);
  }

  #pick(allowed: AllowedKeys, rows: Int32Array): number {
    let count = 0;
    for (let row = 0; row < this.size; row++) {
      if (allowed.has(this.keyAt(row))) rows[count++] = row;
    }
    return count;
  }

  /** A key above the last one is looked for from where that was: neighbours in order are steps away. */
  #lookUp(allowed: AllowedKeys, rows: Int32Array): number {
    let count = 0;
    let from = 0;
    let last = -Infinity;
    let isAscending = true;
    for (const key of allowed) {
      from = this.#rank(key, key > last ? from : 0);
      last = key;
      if (from >= this.live) continue;
      const row = this.rowByRank(from);
      if (this.keyAt(row) !== key) continue;
      isAscending &&= count === 0 || row > (rows[count - 1] ?? 0);
      rows[count++] = row;
    }
    // In the order of the file a scan is up to twice as fast.
    if (!isAscending) rows.subarray(0, count).sort();
    return count;
  }

  /** The first rank whose key is not below `key`, known to be `from` or later: by growing steps, then by halves. */
  #rank(key: number, from: number): number {
    let low = from;
    let step = 1;
    while (low + step < this.live && this.keyAt(this.rowByRank(low + step - 1)) < key) {
      low += step;
      step *= 2;
    }
    let high = Math.min(low + step, this.live);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keyAt(this.rowByRank(middle)) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function layoutOf(bytes: Uint8Array, dimensions: number): Layout {
  const start = bytes.length - footerBytes;
  if (start < 0 || start % alignment !== 0) throw new Error("a rows file has another size");
  const footer = new Uint32Array(bytes.buffer, start, footerBytes / 4);
  const [low, high, version, ownDimensions, rows = 0, live = 0, nodes = 0, flags = 0] = footer;
  if (low !== magic[0] || high !== magic[1]) throw new Error("it is no rows file");
  if (version !== formatVersion) throw new Error(`a rows file of format ${version}`);
  if (ownDimensions !== dimensions) throw new Error(`rows of ${ownDimensions} dimensions`);
  const layout = { rows, dimensions, live, nodes, flags };
  if (sectionsOf(layout).bytes !== bytes.length) throw new Error("a rows file has another size");
  return layout;
}
