import type { FlatVectors } from "./flat-vectors.ts";
import { createTopK, scoreToBeat } from "./top-k.ts";
import type { TopK } from "./top-k.ts";
import { exactSearch, MetricKind } from "./usearch-native.ts";

/** More rows than asked for, so that near ties at the end of the native answer rarely need a second scan. */
const scanSlack = 16;

/**
 * Bound on the rounding of a native score: a float32 sum of the 4,096 products of two unit vectors, in at least four
 * lanes, is off by less than 1024 * 2^-24.
 */
const scoreErrorMax = 1e-4;

/**
 * The best `k` rows of a store for a query, as `FlatVectors.offerAll` gives them, equal scores and ties by key included.
 * usearch scores every row with SIMD, 0.07 us a row of 256 dimensions and 0.12 us of 384, and the best are scored again.
 */
export function scanTop(vectors: FlatVectors, query: Float32Array, k: number): TopK {
  const fetch = k + scanSlack;
  if (fetch * 2 >= vectors.size) return scoreAll(vectors, query, k);
  // exactSearch reads from the start of a view's buffer, whatever the view's offset.
  const ownQuery = query.byteOffset === 0 ? query : query.slice();
  const { dimensions } = vectors;
  const found = exactSearch(vectors.matrix(), ownQuery, dimensions, fetch, MetricKind.IP, 1);
  const top = createTopK(k);
  for (const row of found.keys) vectors.offerRow(top, Number(row), query);
  const scoreLeftOutMax = 1 - (found.distances[fetch - 1] ?? -Infinity) + scoreErrorMax;
  return scoreToBeat(top) > scoreLeftOutMax ? top : scoreAll(vectors, query, k);
}

function scoreAll(vectors: FlatVectors, query: Float32Array, k: number): TopK {
  const top = createTopK(k);
  vectors.offerAll(top, query);
  return top;
}
