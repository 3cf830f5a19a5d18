import { lowerBound } from "../lib/lower-bound.ts";
import { assert } from "../problems.ts";
import type { AllowedKeys } from "./vector-index.ts";

/**
 * A set of keys in ascending order without gaps between them in memory: 8 bytes a key where a `Set` takes some 50, made
 * without hashing. Membership is a binary search.
 */
export class SortedKeys implements AllowedKeys {
  readonly #keys: Float64Array;

  /** Keys ascending, each once; taken over and not copied. */
  constructor(keys: Float64Array) {
    for (let at = 1; at < keys.length; at++) {
      assert((keys[at] ?? 0) > (keys[at - 1] ?? 0), "keys ascend");
    }
    this.#keys = keys;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** O(log size). */
  has(key: number): boolean {
    return this.#keys[lowerBound(this.#keys, key)] === key;
  }

  [Symbol.iterator](): IterableIterator<number> {
    return this.#keys[Symbol.iterator]();
  }
}
