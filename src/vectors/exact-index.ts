import { assert } from "../problems.ts";
import { FlatVectors } from "./flat-vectors.ts";
import { createTopK, neighbours } from "./top-k.ts";
import type { CreateVectorIndex, Neighbour, VectorIndex, VectorSearch } from "./vector-index.ts";

/**
 * A vector index that compares the query with every vector: always right, without native code, and the oracle that
 * the approximate ones are tested against. A search is O(size * dimensions), 0.25 us a vector of 384 dimensions.
 */
export const createExactIndex: CreateVectorIndex = (dimensions) => new ExactIndex(dimensions);

class ExactIndex implements VectorIndex {
  readonly dimensions: number;
  readonly #vectors: FlatVectors;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
    this.#vectors = new FlatVectors(dimensions);
  }

  get size(): number {
    return this.#vectors.size;
  }

  get bytes(): number {
    return this.#vectors.bytes;
  }

  has(key: number): boolean {
    return this.#vectors.has(key);
  }

  set(key: number, vector: Float32Array): void {
    assert(Number.isSafeInteger(key) && key > 0, "a key is a positive safe integer");
    assert(vector.length === this.dimensions, "a vector has the index's dimensions");
    this.#vectors.put(key, vector);
  }

  remove(key: number): boolean {
    return this.#vectors.remove(key) >= 0;
  }

  search({ vector, k, allowed }: VectorSearch): Neighbour[] {
    assert(vector.length === this.dimensions, "a query has the index's dimensions");
    assert(Number.isInteger(k) && k >= 1, "k is a positive integer");
    const top = createTopK(Math.min(k, this.size));
    if (allowed === undefined) this.#vectors.offerAll(top, vector);
    else this.#vectors.offerAllowed(top, vector, { allowed });
    return neighbours(top);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#vectors.clear();
    return Promise.resolve();
  }
}
