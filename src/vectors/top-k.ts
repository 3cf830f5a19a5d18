import type { Neighbour } from "./vector-index.ts";

/**
 * The best neighbours seen so far, as a binary heap with the worst of them at its root, so that a row that cannot
 * enter costs one comparison. Better is a higher score; between equal scores, a lower key.
 */
export interface TopK {
  readonly keys: Float64Array;
  readonly scores: Float64Array;
  size: number;
}

/** An empty heap that keeps `capacity` neighbours. */
export function createTopK(capacity: number): TopK {
  return { keys: new Float64Array(capacity), scores: new Float64Array(capacity), size: 0 };
}

/** Keeps the neighbour if it is among the best. A key may be offered once only. O(log capacity), mostly O(1). */
export function offer(top: TopK, key: number, score: number): void {
  if (top.size < top.keys.length) {
    siftUp(top, { key, score });
    return;
  }
  // Plain numbers up to here: this line runs for every row of a scan.
  const worst = top.scores[0] ?? Infinity;
  if (score > worst || (score === worst && key < (top.keys[0] ?? 0))) siftDown(top, { key, score });
}

/** Offers all that another heap kept. */
export function offerTop(top: TopK, other: TopK): void {
  for (let slot = 0; slot < other.size; slot++) {
    offer(top, other.keys[slot] ?? 0, other.scores[slot] ?? 0);
  }
}

/** The score below which nothing enters; -Infinity while there is room. */
export function scoreToBeat(top: TopK): number {
  return top.size < top.keys.length ? -Infinity : (top.scores[0] ?? Infinity);
}

/** What was kept, best first, ties by key. */
export function neighbours(top: TopK): Neighbour[] {
  const found: Neighbour[] = [];
  for (let slot = 0; slot < top.size; slot++) found.push(at(top, slot));
  return found.toSorted((a, b) => b.score - a.score || a.key - b.key);
}

function siftUp(top: TopK, risen: Neighbour): void {
  let slot = top.size++;
  while (slot > 0) {
    const parentSlot = (slot - 1) >> 1;
    const parent = at(top, parentSlot);
    if (isWorse(parent, risen)) break;
    place(top, slot, parent);
    slot = parentSlot;
  }
  place(top, slot, risen);
}

function siftDown(top: TopK, sunk: Neighbour): void {
  let slot = 0;
  for (let child = 1; child < top.size; child = 2 * slot + 1) {
    const right = child + 1;
    const worseSlot = right < top.size && isWorse(at(top, right), at(top, child)) ? right : child;
    const worse = at(top, worseSlot);
    if (!isWorse(worse, sunk)) break;
    place(top, slot, worse);
    slot = worseSlot;
  }
  place(top, slot, sunk);
}

function isWorse(a: Neighbour, b: Neighbour): boolean {
  return a.score < b.score || (a.score === b.score && a.key > b.key);
}

function at(top: TopK, slot: number): Neighbour {
  return { key: top.keys[slot] ?? 0, score: top.scores[slot] ?? 0 };
}

function place(top: TopK, slot: number, neighbour: Neighbour): void {
  top.keys[slot] = neighbour.key;
  top.scores[slot] = neighbour.score;
}
