import { assert } from "../problems.ts";
import type { Parts } from "../segments/segment-kind.ts";
import { createTopK, neighbours } from "./top-k.ts";
import type { VectorDelta } from "./vector-delta.ts";
import type { Neighbour, VectorSearch } from "./vector-index.ts";
import type { VectorSegment } from "./vector-segment.ts";

export type VectorParts = Parts<VectorSegment, VectorDelta>;

/**
 * The best `k` live vectors of all parts, best first, ties by key. Every score is of float32 vectors, so that it is the
 * one that a comparison with all vectors gives; min(k, allowed ∩ live) neighbours come back, and none that is dead.
 */
export function searchParts(
  { sealed, frozen, active }: VectorParts,
  search: VectorSearch,
): Neighbour[] {
  assert(Number.isInteger(search.k) && search.k >= 1, "k is a positive integer");
  const k = Math.min(
    search.k,
    liveRows({ sealed, frozen, active }),
    search.allowed?.size ?? Infinity,
  );
  if (k === 0) return [];
  const bounded = { ...search, k };
  const top = createTopK(k);
  active.offerTo(top, bounded);
  for (const { delta, dead } of frozen) delta.offerTo(top, bounded, dead);
  for (const { segment, dead } of sealed) segment.offerTo(top, bounded, dead);
  return neighbours(top);
}

/** Vectors that can be found. */
export function liveRows({ sealed, frozen, active }: VectorParts): number {
  let sum = active.size;
  for (const { delta, dead } of frozen) sum += delta.size - dead.size;
  for (const { segment, dead } of sealed) sum += segment.rows - dead.size;
  return sum;
}
