import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createExactIndex } from "../../src/vectors/exact-index.ts";
import type { VectorIndex } from "../../src/vectors/vector-index.ts";
import { createVectorKind, type VectorKindOptions } from "../../src/vectors/vector-kind.ts";
import { openSegmented, temporaryFolder, type Segmented } from "./segmented.ts";
import {
  clustered,
  dimensions,
  expectLive,
  seeded,
  vectorIndexConformance,
} from "./vector-index.ts";

type Engine = Omit<VectorKindOptions, "dimensions">;

/** Graphs from the first vector on: the default is a scan where vectors are few. */
const engines: Readonly<Record<string, Engine>> = {
  "scanned segments": { engine: "exact" },
  "usearch f16": { engine: "usearch", dtype: "f16", graphRowsMin: 1 },
  "usearch f32": { engine: "usearch", dtype: "f32", graphRowsMin: 1 },
  "usearch i8": { engine: "usearch", dtype: "i8", graphRowsMin: 1 },
  "usearch, graphs where they pay": { engine: "usearch" },
  hnswlib: { engine: "hnswlib", graphRowsMin: 1 },
};

const hnswlibMissing = await createVectorKind({ engine: "hnswlib", dimensions: 2 }).then(
  () => undefined,
  (error: Error) => error,
);

vectorIndexConformance({
  name: "exact, in memory",
  create: (length) => Promise.resolve(createExactIndex(length)),
  settle: () => Promise.resolve(),
  exact: true,
});

for (const [name, engine] of Object.entries(engines)) {
  if (engine.engine === "hnswlib" && hnswlibMissing !== undefined) {
    test.skip(`${name}: its package is not compiled here`, () => {});
    test("an engine whose package is not compiled says what to do", () => {
      expect(hnswlibMissing.message).toMatch(/^native_missing: hnswlib .* node-gyp/);
    });
    continue;
  }
  const exact = engine.engine === "exact";
  conformance(`${name}, sealed now and then`, { engine, exact, settle: ({ seal }) => seal() });
  conformance(`${name}, in one segment`, { engine, exact, settle: ({ set }) => set.compact() });
  describe(`sealed vectors: ${name}`, () => sealed(engine));
}

conformance("usearch, unsealed", {
  engine: { engine: "usearch" },
  exact: true,
  settle: () => Promise.resolve(),
});

function conformance(
  name: string,
  suite: { engine: Engine; exact: boolean; settle: (segmented: Segmented) => Promise<void> },
): void {
  const folders: Disposable[] = [];
  const opened = new Map<VectorIndex, Segmented>();
  afterAll(() => folders.forEach((folder) => folder[Symbol.dispose]()));
  vectorIndexConformance({
    name,
    exact: suite.exact,
    async create(length) {
      const folder = temporaryFolder();
      folders.push(folder);
      const segmented = await openSegmented(folder.path, { ...suite.engine, dimensions: length });
      opened.set(segmented.index, segmented);
      return segmented.index;
    },
    async settle(index) {
      const segmented = opened.get(index);
      if (segmented !== undefined) await suite.settle(segmented);
    },
  });
}

/** What holds of vectors on disk. */
function sealed(engine: Engine): void {
  test("what is sealed is there again, the dead stay dead, and the files are few (seed 51)", async () => {
    using folder = temporaryFolder();
    const draw = clustered(seeded(51));
    const live = new Map<number, Float32Array>();
    {
      await using first = await openSegmented(folder.path, { ...engine, dimensions });
      for (let key = 1; key <= 3000; key++) put(first.index, live, { key, vector: draw() });
      await first.seal();
      for (let key = 1; key <= 3000; key += 7)
        expect(first.index.remove(key)).toBe(live.delete(key));
      for (let key = 3; key <= 3000; key += 5) put(first.index, live, { key, vector: draw() });
      await first.seal();
    }
    await using again = await openSegmented(folder.path, { ...engine, dimensions });
    expect([again.set.incomplete, again.index.size]).toEqual([false, live.size]);
    expectAll(again.index, live);
    for (let query = 0; query < 100; query++) {
      const vector = draw();
      expectLive(again.index.search({ vector, k: 20 }), live, vector);
    }
    await again.set.compact();
    expect([again.set.report().segments, again.set.report().dead]).toEqual([1, 0]);
    expectAll(again.index, live);
    expect(readdirSync(again.folder).length).toBeLessThanOrEqual(3);
  }, 60_000);

  test("searches stay right while segments are built between writes (seed 41)", async () => {
    using folder = temporaryFolder();
    const random = seeded(41);
    const draw = clustered(random);
    const sizes = { deltaRows: 300, deltaBytes: Infinity, fillMs: 0, segmentRows: 3000 };
    await using segmented = await openSegmented(folder.path, { ...engine, dimensions }, sizes);
    await using oracle = createExactIndex(dimensions);
    const live = new Map<number, Float32Array>();
    let hits = 0;
    for (let round = 0; round < 400; round++) {
      for (let write = 0; write < 15; write++) {
        const key = 1 + Math.floor(random() * 4000);
        const vector = draw();
        put(segmented.index, live, { key, vector });
        oracle.set(key, vector);
        const removed = 1 + Math.floor(random() * 16_000);
        expect(segmented.index.remove(removed)).toBe(live.delete(removed));
        oracle.remove(removed);
        segmented.wrote();
      }
      await new Promise(setImmediate);
      expect(segmented.index.size).toBe(live.size);
      const search = { vector: draw(), k: 10 };
      const found = segmented.index.search(search);
      expectLive(found, live, search.vector);
      const best = new Set(oracle.search(search).map(({ key }) => key));
      hits += found.filter(({ key }) => best.has(key)).length;
    }
    await segmented.set.settled();
    expect(segmented.set.report().failures).toBe(0);
    expect(segmented.set.report().segments).toBeGreaterThan(0);
    expectAll(segmented.index, live);
    expect(hits / 4000).toBeGreaterThanOrEqual(0.99);
  }, 60_000);

  test("a damaged file costs its segment and nothing else", async () => {
    using folder = temporaryFolder();
    const draw = clustered(seeded(52));
    let file = "";
    {
      await using first = await openSegmented(folder.path, { ...engine, dimensions });
      for (let key = 1; key <= 500; key++) first.index.set(key, draw());
      await first.seal();
      const rows = readdirSync(first.folder).find((name) => name.endsWith(".rows"));
      file = join(first.folder, rows ?? "");
    }
    const descriptor = openSync(file, "r+");
    writeSync(descriptor, Uint8Array.of(255, 255, 255, 255), 0, 4, 1000);
    closeSync(descriptor);
    await using again = await openSegmented(folder.path, { ...engine, dimensions });
    expect([again.set.incomplete, again.index.size]).toEqual([true, 0]);
    again.index.set(1, draw());
    expect(again.index.has(1)).toBe(true);
  });

  test("files of another number of dimensions are not opened", async () => {
    using folder = temporaryFolder();
    {
      await using first = await openSegmented(folder.path, { ...engine, dimensions });
      first.index.set(1, clustered(seeded(53))());
      await first.seal();
    }
    await using other = await openSegmented(folder.path, { ...engine, dimensions: 8 });
    expect([other.set.incomplete, other.index.size]).toEqual([true, 0]);
  });
}

function put(
  index: VectorIndex,
  live: Map<number, Float32Array>,
  { key, vector }: { key: number; vector: Float32Array },
): void {
  index.set(key, vector);
  live.set(key, vector);
}

/** Expects the index to have the live vectors, each with its own numbers, and no others. */
function expectAll(index: VectorIndex, live: ReadonlyMap<number, Float32Array>): void {
  expect(index.size).toBe(live.size);
  const found = index.search({ vector: new Float32Array(dimensions).fill(0.1), k: live.size });
  expect(new Set(found.map(({ key }) => key))).toEqual(new Set(live.keys()));
  for (const [key, vector] of live) {
    const allowed = new Set([key]);
    const [self] = index.search({ vector, k: 1, allowed });
    expect(self?.key).toBe(key);
    expect(self?.score).toBeGreaterThan(0.999_99);
  }
}
