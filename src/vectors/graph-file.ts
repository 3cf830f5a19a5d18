import { hnsw } from "./graph-engine.ts";
import { unmap } from "./unmap.ts";

/**
 * A graph of int8 vectors as usearch saves it (its file format 2), little-endian:
 *
 *     nodes uint32, bytes of a vector uint32, then the vectors
 *     head of 64 bytes: "usearch", version, metric, number format, …
 *     nodes uint64, links of a node uint64, links on the lowest level uint64, highest level uint64, entry node uint64
 *     level of each node int16
 *     each node: key uint64, level int16, then for each of its levels from 0 on: count uint32, room for that many nodes uint32
 */
const vectorsAt = 8;
const headBytes = 64;
const graphHeadBytes = 40;
const magic = "usearch";
/** Of int8 in usearch's list of number formats, and where in the head it stands. */
const formatI8 = 0x17;
const formatAt = 14;
const nodeHeadBytes = 10;
const linkBytes = 4;
const levelBytes = linkBytes * (1 + hnsw.connectivity);
const lowestLevelBytes = linkBytes * (1 + 2 * hnsw.connectivity);

/** What caches hold of the memory at a time. */
export const lineBytes = 64;

/** Links that a node has at most, on whichever level. */
export const linksMax = 2 * hnsw.connectivity;

/**
 * A mapped file of a graph, read without native code: whatever it holds, no more can happen than that a search finds the
 * wrong nodes or throws. Beside what is mapped it takes 8 bytes a node.
 */
export class GraphFile {
  readonly nodes: number;
  /** Bytes, and so numbers, of a vector. */
  readonly dimensions: number;
  /** The node where searches begin, and the highest level that it is on. */
  readonly entry: number;
  readonly topLevel: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Where each node begins, and where the last one ends. */
  readonly #starts: Float64Array;

  /** @throws Error where the file is torn or holds something else */
  constructor(path: string) {
    // Private: a stray write would stay in this process's memory and never reach the file.
    this.#bytes = Bun.mmap(path, { shared: false });
    const { buffer, byteOffset, byteLength } = this.#bytes;
    this.#view = new DataView(buffer, byteOffset, byteLength);
    try {
      this.nodes = this.#view.getUint32(0, true);
      this.dimensions = this.#view.getUint32(4, true);
      const headAt = vectorsAt + this.nodes * this.dimensions;
      requireFormat(this.#bytes.subarray(headAt, headAt + headBytes));
      const graphAt = headAt + headBytes;
      this.#requireShape(graphAt);
      this.topLevel = this.#wordAt(graphAt + 24);
      this.entry = this.#wordAt(graphAt + 32);
      if (this.nodes > 0 && this.entry >= this.nodes) throw new Error("a graph without an entry");
      this.#starts = this.#startsOf(graphAt + graphHeadBytes);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Bytes beside the mapped file. */
  get heapBytes(): number {
    return this.#starts.byteLength;
  }

  /** A node's vector, a view. */
  vectorOf(node: number): Uint8Array {
    const start = vectorsAt + node * this.dimensions;
    return this.#bytes.subarray(start, start + this.dimensions);
  }

  /** Reads a byte of each line of the memory that the vectors of the first `count` nodes take; gives their sum. */
  readLines(nodes: Int32Array, count: number): number {
    const bytes = this.#bytes;
    const { dimensions } = this;
    let read = 0;
    for (let at = 0; at < count; at++) {
      const start = vectorsAt + (nodes[at] ?? 0) * dimensions;
      for (let line = start; line < start + dimensions; line += lineBytes) read += bytes[line] ?? 0;
    }
    return read;
  }

  /** The number that a node was added under. */
  keyOf(node: number): number {
    return this.#view.getUint32(this.#starts[node] ?? 0, true);
  }

  /** Writes the neighbours of a node on a level into `links`, at least `linksMax` places; gives how many they are. */
  linksOf(node: number, level: number, links: Int32Array): number {
    const view = this.#view;
    const nodes = this.nodes;
    const start = this.#starts[node] ?? 0;
    const skipped = level === 0 ? 0 : lowestLevelBytes + (level - 1) * levelBytes;
    let at = start + nodeHeadBytes + skipped;
    // What a damaged file says is not believed further than the node goes.
    if (at + levelBytes > (this.#starts[node + 1] ?? 0)) return 0;
    const count = Math.min(view.getUint32(at, true), level === 0 ? linksMax : hnsw.connectivity);
    let kept = 0;
    for (let link = 0; link < count; link++) {
      at += linkBytes;
      const other = view.getInt32(at, true);
      if (other >= 0 && other < nodes) links[kept++] = other;
    }
    return kept;
  }

  /** Gives the mapping back; nothing of the file may be read any more. */
  close(): void {
    unmap(this.#bytes);
  }

  #wordAt(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }

  #requireShape(graphAt: number): void {
    const nodes = this.#wordAt(graphAt);
    if (nodes !== this.nodes) throw new Error(`a graph of ${nodes} nodes`);
    const links = [this.#wordAt(graphAt + 8), this.#wordAt(graphAt + 16)];
    if (links[0] !== hnsw.connectivity || links[1] !== linksMax) {
      throw new Error(`a graph of ${links.join(" and ")} links a node`);
    }
  }

  #startsOf(levelsAt: number): Float64Array {
    const starts = new Float64Array(this.nodes + 1);
    let at = levelsAt + this.nodes * Int16Array.BYTES_PER_ELEMENT;
    for (let node = 0; node < this.nodes; node++) {
      starts[node] = at;
      const level = this.#view.getInt16(levelsAt + node * Int16Array.BYTES_PER_ELEMENT, true);
      at += nodeHeadBytes + lowestLevelBytes + Math.max(0, level) * levelBytes;
    }
    starts[this.nodes] = at;
    if (at !== this.#bytes.byteLength) throw new Error("a graph whose nodes end elsewhere");
    return starts;
  }
}

function requireFormat(head: Uint8Array): void {
  if (Buffer.from(head.subarray(0, magic.length)).toString("latin1") !== magic) {
    throw new Error("no graph of usearch's");
  }
  if (head[formatAt] !== formatI8) throw new Error("a graph of other numbers than int8");
}
