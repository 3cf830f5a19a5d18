import type { Steps } from "../segments/segment-kind.ts";
import { createPace } from "./pace.ts";

/** Runs that are sorted at once. */
const RUN = 512;

/** The items in order: a merge sort that pauses. Takes the array over. */
export function* sortInSteps<T>(items: T[], compare: (a: T, b: T) => number): Steps<T[]> {
  const pause = createPace();
  let runs: T[][] = [];
  for (let start = 0; start < items.length; start += RUN) {
    runs.push(items.slice(start, start + RUN).toSorted(compare));
    if (pause()) yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let index = 0; index < runs.length; index += 2) {
      const [one = [], other = []] = [runs[index], runs[index + 1]];
      merged.push(yield* merge(one, other, { compare, pause }));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merge<T>(
  one: readonly T[],
  other: readonly T[],
  { compare, pause }: { compare: (a: T, b: T) => number; pause: () => boolean },
): Steps<T[]> {
  const all: T[] = [];
  let [i, j] = [0, 0];
  while (i < one.length && j < other.length) {
    const [a, b] = [one[i], other[j]];
    // Both are inside their arrays; the check is what tells the compiler.
    if (a === undefined || b === undefined) break;
    if (compare(a, b) <= 0) {
      all.push(a);
      i++;
    } else {
      all.push(b);
      j++;
    }
    if (all.length % RUN === 0 && pause()) yield;
  }
  return all.concat(one.slice(i), other.slice(j));
}
