import { canRun, instantiate, WASM_PAGE_BYTES } from "../lib/wasm-code.ts";
import { CODES_PER_TURN, codeScoresKernel, LANES } from "./code-scores-kernel.ts";
import { lineBytes, linksMax, type GraphFile } from "./graph-file.ts";

/** Rows that are scored in one call at most: the neighbours of a node. */
export const rowsPerCall = linksMax;

/** A unit query's numbers times this are int16; a sum of products with int8 of unit vectors stays far below 2^31. */
const queryScale = 0x7f_ff;

/** Whether this processor can score rows so. */
export const canScoreCodes = canRun(codeScoresKernel);

/** Bytes that copies of this process's graphs may come to together. */
let bytesTaken = 0;

/**
 * The int8 vectors of a graph where the kernel reaches them. A row is copied out of the mapped file when it is first
 * scored, so that opening takes no time and what is never searched no memory. Where nothing is kept, a row is copied each
 * time, and a search takes twice as long.
 */
export class CodeRows {
  /** Whether copies are kept, of rows and of what else a graph copies for each node. */
  readonly keeps: boolean;
  /** Bytes that are taken once all nodes were searched. */
  readonly heapBytes: number;
  readonly #file: GraphFile;
  readonly #stride: number;
  readonly #rowsAt: number;
  readonly #bytes: Uint8Array;
  readonly #query: Int16Array;
  readonly #places: Int32Array;
  readonly #sums: Int32Array;
  /** 1 for each node whose row is there. */
  readonly #present: Uint8Array;
  readonly #kernel: (...addresses: number[]) => void;
  /** Its part of `bytesTaken`. */
  #taken: number;

  /**
   * @param beside bytes that the graph copies of each node beside its row
   * @param bytesMax with more than this, in all graphs of the process together, nothing is kept
   */
  constructor(file: GraphFile, { beside, bytesMax }: { beside: number; bytesMax: number }) {
    this.#file = file;
    this.#stride = Math.ceil(file.dimensions / CODES_PER_TURN) * CODES_PER_TURN;
    const bytesAll = file.nodes * (this.#stride + beside + 1);
    this.keeps = bytesTaken + bytesAll <= bytesMax;
    const placesAt = this.#stride * Int16Array.BYTES_PER_ELEMENT;
    const sumsAt = placesAt + rowsPerCall * Int32Array.BYTES_PER_ELEMENT;
    this.#rowsAt = sumsAt + rowsPerCall * LANES * Int32Array.BYTES_PER_ELEMENT;
    this.heapBytes = this.#rowsAt + (this.keeps ? bytesAll : rowsPerCall * this.#stride);
    const rows = this.keeps ? file.nodes : rowsPerCall;
    const initial = Math.ceil((this.#rowsAt + rows * this.#stride) / WASM_PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial });
    this.#bytes = new Uint8Array(memory.buffer);
    this.#query = new Int16Array(memory.buffer, 0, this.#stride);
    this.#places = new Int32Array(memory.buffer, placesAt, rowsPerCall);
    this.#sums = new Int32Array(memory.buffer, sumsAt, rowsPerCall * LANES);
    this.#present = new Uint8Array(this.keeps ? file.nodes : 0);
    this.#kernel = instantiate(codeScoresKernel, memory);
    this.#taken = this.keeps ? bytesAll : 0;
    bytesTaken += this.#taken;
  }

  /** Sets the vector that rows are scored with, of unit length. */
  ask(query: Float32Array): void {
    for (let at = 0; at < query.length; at++) {
      this.#query[at] = Math.round((query[at] ?? 0) * queryScale);
    }
  }

  /** Scores the first `count` of some nodes, at most `rowsPerCall`: the higher, the nearer. Into `scores`, in their order. */
  score(nodes: Int32Array, count: number, scores: Int32Array): void {
    const places = this.#places;
    const sums = this.#sums;
    // Overwritten at once: what is nowhere stored would not be read.
    sums[0] = this.keeps ? this.#placeKept(nodes, count) : this.#placeInTurn(nodes, count);
    const placesAt = places.byteOffset;
    this.#kernel(placesAt, placesAt + count * 4, sums.byteOffset, 0, this.#query.byteLength);
    for (let at = 0, lane = 0; at < count; at++, lane += LANES) {
      scores[at] =
        (sums[lane] ?? 0) + (sums[lane + 1] ?? 0) + (sums[lane + 2] ?? 0) + (sums[lane + 3] ?? 0);
    }
  }

  /** Lets others keep copies; nothing is scored any more. */
  close(): void {
    bytesTaken -= this.#taken;
    this.#taken = 0;
  }

  /**
   * Sets the addresses of nodes' rows, which are copied where they are not there yet. A byte of each line of the memory is
   * read before the kernel comes to it, so that all that the caches do not have is under way at once: that takes a third
   * of a search's time away.
   */
  #placeKept(nodes: Int32Array, count: number): number {
    const places = this.#places;
    const present = this.#present;
    const bytes = this.#bytes;
    const stride = this.#stride;
    const rowsAt = this.#rowsAt;
    let read = 0;
    for (let at = 0; at < count; at++) {
      const node = nodes[at] ?? 0;
      const place = rowsAt + node * stride;
      places[at] = place;
      if (present[node] === 1) {
        for (let line = place; line < place + stride; line += lineBytes) read += bytes[line] ?? 0;
        continue;
      }
      bytes.set(this.#file.vectorOf(node), place);
      present[node] = 1;
    }
    return read;
  }

  /** Copies nodes' rows one after the other, with a byte of each line read before, as above. */
  #placeInTurn(nodes: Int32Array, count: number): number {
    const read = this.#file.readLines(nodes, count);
    for (let at = 0; at < count; at++) {
      const place = this.#rowsAt + at * this.#stride;
      this.#places[at] = place;
      this.#bytes.set(this.#file.vectorOf(nodes[at] ?? 0), place);
    }
    return read;
  }
}
