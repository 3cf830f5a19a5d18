import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createQueryVectors, dotInOrder } from "../../../src/standing-queries/query-vectors.ts";

/** A repeatable stream of numbers from -1 to 1: mulberry32, by Tommy Ettinger. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

function unit(dimensions: number, next: () => number, towards?: Float32Array): Float32Array {
  const values = Float32Array.from(
    { length: dimensions },
    (_, at) => next() + (towards?.[at] ?? 0) * 30,
  );
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

/** What every query scored by itself says. */
function allNear(
  queries: readonly Float32Array[],
  vectors: readonly Float32Array[],
  leasts: (row: number) => number,
) {
  return queries.flatMap((query, row) => {
    const scores = vectors.map((vector) => dotInOrder(query, vector));
    const score = Math.max(...scores);
    return score >= leasts(row) ? [{ row, score, chunk: scores.indexOf(score) }] : [];
  });
}

const byRow = <T extends { row: number }>(found: readonly T[]): T[] =>
  found.toSorted((a, b) => a.row - b.row);

describe("queries near to a document", () => {
  test.each([
    ["vector instructions", true],
    ["none", false],
  ])("are those that scoring each of them finds, with %s", (_name, simd) => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.constantFrom(1, 2, 7, 64, 384),
        fc.integer({ min: 1, max: 120 }),
        (seed, dimensions, count) => {
          const next = numbersFrom(seed);
          const vectors = [unit(dimensions, next), unit(dimensions, next)];
          const queries = Array.from({ length: count }, (_, row) =>
            unit(dimensions, next, row % 2 === 0 ? undefined : vectors[row % 4 === 1 ? 0 : 1]),
          );
          const scores = queries.map((query) => dotInOrder(query, vectors[0] ?? query));
          // Many thresholds are exactly a score: there the least error would show.
          const leasts = queries.map((_, row) => scores[(row * 7) % count] ?? 0);
          const table = createQueryVectors(dimensions, simd);
          for (const [row, query] of queries.entries()) {
            expect(table.add(query, leasts[row] ?? 0)).toBe(row);
          }
          const expected = allNear(queries, vectors, (row) => leasts[row] ?? 0);
          expect(byRow(table.near(vectors))).toEqual(expected);
        },
      ),
      { seed: 20_260, numRuns: 40 },
    );
  });

  test("are found with the largest vectors that there may be", () => {
    const next = numbersFrom(1);
    const even = new Float32Array(4096).fill(1 / 64);
    const queries = [even, even.map((value) => -value), unit(4096, next), unit(4096, next, even)];
    const table = createQueryVectors(4096);
    for (const query of queries) table.add(query, -1.1);
    expect(byRow(table.near([even]))).toEqual(allNear(queries, [even], () => -1.1));
  });

  test("are not those that were removed, whose rows are used again", () => {
    const [one, other] = [new Float32Array([1, 0]), new Float32Array([0, 1])];
    const table = createQueryVectors(2);
    table.add(one, 0.5);
    table.add(other, 0.5);
    table.remove(0);
    expect(table.near([one, other]).map(({ row }) => row)).toEqual([1]);
    expect(table.add(one, 0.9)).toBe(0);
    expect(table.near([one])).toEqual([{ row: 0, score: 1, chunk: 0 }]);
    table.remove(0);
    table.remove(1);
    expect(table.near([one])).toEqual([]);
  });

  test("may be asked for with other thresholds, for once", () => {
    const table = createQueryVectors(2);
    table.add(new Float32Array([1, 0]), 0.9);
    const document = [new Float32Array([0.6, 0.8])];
    expect(table.near(document, new Map([[0, 0.5]]))).toHaveLength(1);
    expect(table.near(document)).toEqual([]);
  });

  test("has none in a document without direction", () => {
    const table = createQueryVectors(3);
    table.add(new Float32Array([1, 0, 0]), 0);
    table.add(new Float32Array(3), 0);
    table.add(new Float32Array([1, 0, 0]), 0.1);
    expect(byRow(table.near([new Float32Array(3)])).map(({ row }) => row)).toEqual([0, 1]);
  });
});
