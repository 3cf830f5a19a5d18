import { describe, expect, test } from "bun:test";
import { createExactIndex } from "../../src/vectors/exact-index.ts";
import type { Neighbour, VectorIndex } from "../../src/vectors/vector-index.ts";

interface VectorIndexSuite<Index extends VectorIndex> {
  name: string;
  create: (dimensions: number) => Promise<Index>;
  /** Seals what is in memory and finishes whatever the index would do in the background. */
  settle: (index: Index) => Promise<void>;
  /** Whether the index promises the very neighbours that a scan of all vectors finds. */
  exact: boolean;
}

/** What every vector index must do. Random vectors come from stated seeds. */
export function vectorIndexConformance<Index extends VectorIndex>(
  suite: VectorIndexSuite<Index>,
): void {
  describe(`vector index: ${suite.name}`, () => {
    writes(suite);
    answers(suite);
    refusals(suite);
    filters(suite);
    churn(suite);
  });
}

function writes<Index extends VectorIndex>({ create, settle }: VectorIndexSuite<Index>): void {
  test("a new index is empty and finds nothing", async () => {
    await using index = await create(3);
    expect([index.dimensions, index.size, index.has(1)]).toEqual([3, 0, false]);
    expect(index.search({ vector: unit([1, 0, 0]), k: 10 })).toEqual([]);
    expect(index.search({ vector: unit([1, 0, 0]), k: 1, allowed: new Set([1]) })).toEqual([]);
  });

  test("a vector is found as soon as it is set", async () => {
    await using index = await create(3);
    index.set(7, unit([0, 2, 0]));
    expect([index.size, index.has(7), index.has(8)]).toEqual([1, true, false]);
    expect(index.search({ vector: unit([0, 1, 0]), k: 1 })).toEqual([{ key: 7, score: 1 }]);
  });

  test("the vector is copied in", async () => {
    await using index = await create(2);
    const vector = unit([1, 0]);
    index.set(1, vector);
    vector.fill(0.5);
    expect(index.search({ vector: unit([1, 0]), k: 1 })).toEqual([{ key: 1, score: 1 }]);
  });

  test("views into a larger buffer are read at their own place", async () => {
    await using index = await create(3);
    const buffer = new Float32Array([0, 0, 1, 0, 1, 0]);
    // What a search for the wrong view would take for the answer, and rows that keep the right one from its hits.
    for (let key = 3; key <= 12; key++) index.set(key, unit([0, 1, 1]));
    for (let key = 13; key <= 200; key++) index.set(key, unit([1, 0, 0.01]));
    index.set(1, buffer.subarray(0, 3));
    index.set(2, buffer.subarray(3, 6));
    const search = { vector: buffer.subarray(3, 6), k: 1 };
    expect(index.search(search)).toEqual([{ key: 2, score: 1 }]);
    await settle(index);
    expect(index.search(search)).toEqual([{ key: 2, score: 1 }]);
  });

  test("setting a key again replaces its vector, before and after the index has settled", async () => {
    await using index = await create(2);
    index.set(1, unit([1, 0]));
    index.set(2, unit([-1, 0]));
    index.set(1, unit([0, 1]));
    expect(index.search({ vector: unit([0, 1]), k: 1 })).toEqual([{ key: 1, score: 1 }]);
    await settle(index);
    index.set(1, unit([-1, 0]));
    await settle(index);
    expect(index.size).toBe(2);
    expect(keys(index.search({ vector: unit([-1, 0]), k: 5 }))).toEqual([1, 2]);
  });

  test("a removed key is gone, whichever row it had, and can come back", async () => {
    await using index = await create(2);
    for (const key of [1, 2, 3]) index.set(key, unit([key, 1]));
    await settle(index);
    expect([index.remove(1), index.remove(1), index.remove(9)]).toEqual([true, false, false]);
    expect(keys(index.search({ vector: unit([1, 1]), k: 5 }))).toEqual([2, 3]);
    index.set(1, unit([1, 1]));
    expect(index.remove(3)).toBe(true);
    await settle(index);
    expect(keys(index.search({ vector: unit([1, 1]), k: 5 }))).toEqual([1, 2]);
    expect([index.size, index.has(1), index.has(3)]).toEqual([2, true, false]);
  });

  test("an index emptied and filled again holds what is new", async () => {
    await using index = await create(4);
    const random = seeded(11);
    for (let key = 1; key <= 300; key++) index.set(key, randomUnit(4, random));
    await settle(index);
    for (let key = 1; key <= 300; key++) index.remove(key);
    expect(index.search({ vector: randomUnit(4, random), k: 3 })).toEqual([]);
    await settle(index);
    index.set(5, unit([1, 0, 0, 0]));
    await settle(index);
    expect(keys(index.search({ vector: unit([1, 0, 0, 0]), k: 3 }))).toEqual([5]);
  });

  test("bytes follow what is held, and disposing gives them back", async () => {
    const index = await create(64);
    const random = seeded(12);
    const empty = index.bytes;
    for (let key = 1; key <= 1000; key++) index.set(key, randomUnit(64, random));
    const unsettled = index.bytes;
    expect(unsettled).toBeGreaterThan(1000 * 64 * 4);
    await settle(index);
    // What is sealed is mapped and does not count, but for graphs that are held in memory.
    const full = Math.max(unsettled, index.bytes);
    for (let round = 0; round < 5; round++) {
      for (let key = 1; key <= 1000; key++) index.set(key, randomUnit(64, random));
      await settle(index);
    }
    expect(index.bytes).toBeLessThan(full * 1.5);
    for (let key = 1; key <= 950; key++) index.remove(key);
    await settle(index);
    expect(index.bytes).toBeLessThan(full / 4);
    await index[Symbol.asyncDispose]();
    expect(index.bytes).toBeLessThanOrEqual(empty);
  });
}

function answers<Index extends VectorIndex>({ create, settle }: VectorIndexSuite<Index>): void {
  test("neighbours come best first, ties by key, with cosine scores", async () => {
    await using index = await create(2);
    for (const key of [30, 4, 100]) index.set(key, unit([1, 0]));
    index.set(2, unit([0, 1]));
    index.set(1, unit([-1, 0]));
    await settle(index);
    expect(index.search({ vector: unit([1, 0]), k: 4 })).toEqual([
      { key: 4, score: 1 },
      { key: 30, score: 1 },
      { key: 100, score: 1 },
      { key: 2, score: 0 },
    ]);
  });

  test("of more equal vectors than asked for, the lowest keys come", async () => {
    await using index = await create(8);
    const random = seeded(13);
    const twin = randomUnit(8, random);
    for (let key = 500; key >= 1; key--) index.set(key, key % 2 ? randomUnit(8, random) : twin);
    expect(keys(index.search({ vector: twin, k: 5 }))).toEqual([2, 4, 6, 8, 10]);
  });

  test("k larger than the index gives all of it", async () => {
    await using index = await create(8);
    const random = seeded(14);
    for (let key = 1; key <= 120; key++) index.set(key, randomUnit(8, random));
    await settle(index);
    const found = index.search({ vector: randomUnit(8, random), k: 1000 });
    expect(new Set(keys(found)).size).toBe(120);
    expect(found.every(({ score }, rank) => score <= (found[rank - 1]?.score ?? 1))).toBe(true);
  });

  test("keys past 32 bits come back whole", async () => {
    await using index = await create(2);
    index.set(Number.MAX_SAFE_INTEGER, unit([1, 0]));
    await settle(index);
    expect(keys(index.search({ vector: unit([1, 0]), k: 1 }))).toEqual([Number.MAX_SAFE_INTEGER]);
  });

  test("dimensions that are no multiple of four count whole", async () => {
    await using index = await create(5);
    index.set(1, unit([0, 0, 0, 0, 1]));
    await settle(index);
    expect(index.search({ vector: unit([0, 0, 0, 0, 1]), k: 1 })).toEqual([{ key: 1, score: 1 }]);
  });
}

function refusals<Index extends VectorIndex>({ create }: VectorIndexSuite<Index>): void {
  test("a vector or query of other dimensions is our own mistake", async () => {
    await using index = await create(4);
    expect(() => index.set(1, new Float32Array(3))).toThrow("assertion failed");
    expect(() => index.set(1, new Float32Array(8))).toThrow("assertion failed");
    expect(() => index.search({ vector: new Float32Array(8), k: 1 })).toThrow("assertion failed");
    expect(index.size).toBe(0);
  });

  test("a key or k that is no positive integer is our own mistake", async () => {
    await using index = await create(2);
    for (const key of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      expect(() => index.set(key, unit([1, 0]))).toThrow("assertion failed");
    }
    for (const k of [0, -1, 1.5, Number.NaN, Infinity]) {
      expect(() => index.search({ vector: unit([1, 0]), k })).toThrow("assertion failed");
    }
  });
}

function filters<Index extends VectorIndex>({
  create,
  settle,
  exact,
}: VectorIndexSuite<Index>): void {
  test("with allowed keys, min(k, allowed and live) neighbours come, all allowed, whatever the share (seed 21)", async () => {
    const { index, oracle, random } = await filled({ create, settle }, 21);
    for (const share of [0, 0.0005, 0.01, 0.1, 0.3, 0.7, 0.99, 1]) {
      const allowed = new Set<number>();
      for (let key = 1; key <= 4500; key++) if (random() < share) allowed.add(key);
      const live = [...allowed].filter((key) => oracle.has(key)).length;
      for (const k of [1, 10, 100, 1000]) {
        const search = { vector: randomUnit(dimensions, random), k, allowed };
        const found = keys(index.search(search));
        expect(found.length).toBe(Math.min(k, live));
        expect(new Set(found).size).toBe(found.length);
        expect(found.every((key) => allowed.has(key) && oracle.has(key))).toBe(true);
        if (exact) expect(found).toEqual(keys(oracle.search(search)));
      }
    }
    await index[Symbol.asyncDispose]();
  });

  test("the allowed are found when all of them are far from the query (seed 22)", async () => {
    const { index, oracle, random } = await filled({ create, settle }, 22);
    const vector = randomUnit(dimensions, random);
    const worst = keys(oracle.search({ vector, k: oracle.size })).slice(-2500);
    const search = { vector, k: 20, allowed: new Set(worst) };
    expect(index.search(search)).toEqual(oracle.search(search));
    await index[Symbol.asyncDispose]();
  });
}

function churn<Index extends VectorIndex>({
  create,
  settle,
  exact,
}: VectorIndexSuite<Index>): void {
  test("after 5 % removals and 5 % replacements of 10,000 vectors, recall@10 is 0.99 and no dead key or stale score comes (seed 31)", async () => {
    const random = seeded(31);
    const draw = clustered(random);
    await using index = await create(dimensions);
    await using oracle = createExactIndex(dimensions);
    const live = new Map<number, Float32Array>();
    const set = (key: number): void => {
      const vector = draw();
      index.set(key, vector);
      oracle.set(key, vector);
      live.set(key, vector);
    };
    for (let key = 1; key <= 10_000; key++) set(key);
    await settle(index);
    for (let key = 1; key <= 10_000; key += 20) {
      expect([index.remove(key), oracle.remove(key), live.delete(key)]).toEqual([true, true, true]);
    }
    for (let key = 2; key <= 10_000; key += 20) set(key);
    await settle(index);
    expect(index.size).toBe(9500);

    let hits = 0;
    for (let query = 0; query < 1000; query++) {
      const search = { vector: draw(), k: 10 };
      const found = index.search(search);
      expect(found.length).toBe(10);
      expectLive(found, live, search.vector);
      const best = new Set(keys(oracle.search(search)));
      hits += found.filter(({ key }) => best.has(key)).length;
    }
    expect(hits / 10_000).toBeGreaterThanOrEqual(exact ? 1 : 0.99);
  }, 60_000);

  test("a third of all vectors being equal hides no others, and their removal neither (seed 33)", async () => {
    const random = seeded(33);
    const draw = clustered(random);
    await using index = await create(dimensions);
    await using oracle = createExactIndex(dimensions);
    const twin = draw();
    for (let key = 1; key <= 6000; key++) {
      const vector = key % 3 === 0 ? twin : draw();
      index.set(key, vector);
      oracle.set(key, vector);
    }
    await settle(index);
    const recall = (): number => {
      let hits = 0;
      for (let query = 0; query < 200; query++) {
        const search = { vector: draw(), k: 10 };
        const worst = oracle.search(search).at(-1)?.score ?? 1;
        hits += index.search(search).filter(({ score }) => score >= worst).length;
      }
      return hits / 2000;
    };
    expect(recall()).toBeGreaterThanOrEqual(exact ? 1 : 0.99);
    const twins = index.search({ vector: twin, k: 30 });
    expect(keys(twins)).toEqual(Array.from({ length: 30 }, (_, at) => 3 * (at + 1)));
    for (let key = 6; key <= 6000; key += 3) {
      index.remove(key);
      oracle.remove(key);
    }
    await settle(index);
    expect(recall()).toBeGreaterThanOrEqual(exact ? 1 : 0.99);
    expect(keys(index.search({ vector: twin, k: 1 }))).toEqual([3]);
  }, 60_000);

  test("any sequence of writes, searches and settling leaves what was written last (seed 32)", async () => {
    const random = seeded(32);
    await using index = await create(8);
    const live = new Map<number, Float32Array>();
    for (let step = 0; step < 6000; step++) {
      const key = 1 + Math.floor(random() * 700);
      const choice = random();
      if (choice < 0.6) {
        const vector = randomUnit(8, random);
        index.set(key, vector);
        live.set(key, vector);
      } else if (choice < 0.9) {
        expect(index.remove(key)).toBe(live.delete(key));
      } else if (choice < 0.99) {
        const search = { vector: randomUnit(8, random), k: 1 + Math.floor(random() * 20) };
        const found = index.search(search);
        expect(found.length).toBe(Math.min(search.k, live.size));
        expectLive(found, live, search.vector);
      } else {
        await settle(index);
      }
      expect([index.size, index.has(key)]).toEqual([live.size, live.has(key)]);
    }
  });
}

/** Of the larger tests; what is searched for does not depend on it, the time does. */
export const dimensions = 32;

/** 4,000 clustered vectors with some keys removed and some replaced, in the index and in an exact one beside it. */
async function filled<Index extends VectorIndex>(
  { create, settle }: Pick<VectorIndexSuite<Index>, "create" | "settle">,
  seed: number,
): Promise<{ index: Index; oracle: VectorIndex; random: () => number }> {
  const random = seeded(seed);
  const draw = clustered(random);
  const index = await create(dimensions);
  const oracle = createExactIndex(dimensions);
  for (let write = 0; write < 4600; write++) {
    const key = write < 4000 ? write + 1 : 1 + Math.floor(random() * 4000);
    const vector = draw();
    index.set(key, vector);
    oracle.set(key, vector);
    if (write === 3999) await settle(index);
  }
  for (let key = 7; key <= 4000; key += 13) {
    index.remove(key);
    oracle.remove(key);
  }
  return { index, oracle, random };
}

/** Expects every neighbour once, alive, and with the score of the vector that its key has now. */
export function expectLive(
  found: readonly Neighbour[],
  live: ReadonlyMap<number, Float32Array>,
  query: Float32Array,
): void {
  expect(new Set(keys(found)).size).toBe(found.length);
  for (const { key, score } of found) {
    const vector = live.get(key);
    if (vector === undefined) throw new Error(`key ${key} is not live`);
    const cosine = vector.reduce((sum, number, at) => sum + number * (query[at] ?? 0), 0);
    expect(Math.abs(score - cosine)).toBeLessThan(1e-6);
  }
}

function keys(found: readonly Neighbour[]): number[] {
  return found.map(({ key }) => key);
}

function unit(numbers: readonly number[]): Float32Array {
  const length = Math.hypot(...numbers);
  return Float32Array.from(numbers, (number) => number / length);
}

/** Mulberry32: 0 <= number < 1. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function randomUnit(length: number, random: () => number): Float32Array {
  return unit(Array.from({ length }, () => gaussian(random)));
}

/** Draws vectors around 100 centres, as texts gather around topics. */
export function clustered(random: () => number): () => Float32Array {
  const centres = Array.from({ length: 100 }, () => randomUnit(dimensions, random));
  return () => {
    const centre = centres[Math.floor(random() * centres.length)] ?? new Float32Array(dimensions);
    return unit(Array.from(centre, (number) => number + 0.1 * gaussian(random)));
  };
}
