import { assert } from "../problems.ts";
import type { SegmentSet } from "../segments/segment-set.ts";
import { searchParts } from "./search-parts.ts";
import type { VectorDelta } from "./vector-delta.ts";
import type { Neighbour, VectorIndex, VectorSearch } from "./vector-index.ts";
import type { VectorSegment } from "./vector-segment.ts";

/** A set of segments of vectors. */
export type VectorSegmentSet = SegmentSet<VectorSegment, VectorDelta>;

/** What `SegmentedVectors` needs of a set: `VectorSegmentSet` has it. */
export type VectorSegments = Pick<
  VectorSegmentSet,
  "parts" | "size" | "has" | "remove" | typeof Symbol.asyncDispose
>;

/** A vector index over segments on disk and a delta in memory; the set seals and merges them in the background. */
export class SegmentedVectors implements VectorIndex {
  readonly dimensions: number;
  readonly #segments: VectorSegments;
  #disposed = false;

  /** Owns the set: disposing closes it. */
  constructor(dimensions: number, segments: VectorSegments) {
    this.dimensions = dimensions;
    this.#segments = segments;
  }

  get size(): number {
    return this.#segments.size;
  }

  get bytes(): number {
    const { sealed, frozen, active } = this.#segments.parts();
    let sum = active.bytes;
    for (const { delta } of frozen) sum += delta.bytes;
    for (const { segment, dead } of sealed) sum += segment.heapBytes + dead.bits.byteLength;
    return sum;
  }

  has(key: number): boolean {
    return this.#segments.has(key);
  }

  set(key: number, vector: Float32Array): void {
    assert(!this.#disposed, "a disposed index is not written to");
    assert(Number.isSafeInteger(key) && key > 0, "a key is a positive safe integer");
    assert(vector.length === this.dimensions, "a vector has the index's dimensions");
    // Unchanged text is written again often, and need not leave a dead row each time.
    if (this.#isSealed(key, vector)) return;
    const { active } = this.#segments.parts();
    // In its place where it is the newest already; else what is in an older part dies.
    if (!active.has(key)) this.#segments.remove(key);
    active.set(key, vector);
  }

  remove(key: number): boolean {
    return this.#segments.remove(key);
  }

  search(search: VectorSearch): Neighbour[] {
    assert(search.vector.length === this.dimensions, "a query has the index's dimensions");
    return searchParts(this.#segments.parts(), search);
  }

  /** Whether a sealed segment has the key, alive, with this vector. */
  #isSealed(key: number, vector: Float32Array): boolean {
    for (const { segment, dead } of this.#segments.parts().sealed) {
      const row = segment.rowOf(key);
      if (row >= 0 && !dead.has(row)) return segment.holds(row, vector);
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#segments[Symbol.asyncDispose]();
  }
}
