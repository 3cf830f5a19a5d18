import { expect, test } from "bun:test";
import { createExactIndex } from "../../src/vectors/exact-index.ts";
import { UsearchGraph } from "../../src/vectors/usearch-graph.ts";
import { createUsearchIndex } from "../../src/vectors/usearch-index.ts";
import {
  clustered,
  dimensions,
  expectLive,
  seeded,
  vectorIndexConformance,
} from "./vector-index.ts";

vectorIndexConformance({
  name: "exact",
  create: createExactIndex,
  settle: () => {},
  exact: true,
});

vectorIndexConformance({
  name: "usearch",
  create: (length) => createUsearchIndex(length),
  settle: (index) => index.build(Infinity),
  exact: false,
});

vectorIndexConformance({
  name: "usearch with a graph from the first vector on",
  create: (length) => createUsearchIndex(length, { flatRowsMax: 0, tailRowsMax: 0 }),
  settle: (index) => index.build(Infinity),
  exact: false,
});

vectorIndexConformance({
  name: "usearch without a graph",
  create: (length) => createUsearchIndex(length, { flatRowsMax: Infinity, tailRowsMax: Infinity }),
  settle: (index) => index.build(Infinity),
  exact: true,
});

test("usearch stays right while it rebuilds its graph between writes (seed 41)", async () => {
  const random = seeded(41);
  const draw = clustered(random);
  await using index = createUsearchIndex(dimensions, { flatRowsMax: 0, tailRowsMax: 0 });
  await using oracle = createExactIndex(dimensions);
  const live = new Map<number, Float32Array>();
  const set = (key: number): void => {
    const vector = draw();
    index.set(key, vector);
    oracle.set(key, vector);
    live.set(key, vector);
  };
  for (let key = 1; key <= 8000; key++) set(key);
  index.build(Infinity);
  let hits = 0;
  for (let round = 0; round < 600; round++) {
    const writes = random() < 0.05 ? 300 : 1;
    for (let write = 0; write < writes; write++) {
      const removed = 1 + Math.floor(random() * 8000);
      index.remove(removed);
      oracle.remove(removed);
      live.delete(removed);
      set(1 + Math.floor(random() * 8000));
    }
    index.build(4);
    expect(index.size).toBe(live.size);
    const search = { vector: draw(), k: 10 };
    const found = index.search(search);
    expectLive(found, live, search.vector);
    const best = new Set(oracle.search(search).map(({ key }) => key));
    hits += found.filter(({ key }) => best.has(key)).length;
  }
  expect(hits / 6000).toBeGreaterThanOrEqual(0.99);
}, 60_000);

test("a graph knows its dead, and a vector that comes back takes its dead node again", () => {
  const graph = new UsearchGraph(2);
  const [east, north] = [Float32Array.of(1, 0), Float32Array.of(0, 1)];
  graph.add(0, east);
  graph.add(1, north);
  graph.add(2, north);
  expect([graph.nodes, graph.deadShare]).toEqual([2, 0]);
  expect(graph.nearestRows(north, 1).toSorted((a, b) => a - b)).toEqual([1, 2]);
  graph.removeRow(1, 2);
  expect([graph.deadShare, graph.has(1), graph.has(2)]).toEqual([0, true, false]);
  graph.removeRow(1, 1);
  expect([graph.deadShare, graph.has(1)]).toEqual([0.5, false]);
  expect(graph.nearestRows(north, 2)).toEqual([0]);
  graph.add(1, north);
  expect([graph.nodes, graph.deadShare]).toEqual([2, 0]);
});

test("usearch moves its tail into the graph in the background, and disposing stops that", async () => {
  const index = createUsearchIndex(16, { flatRowsMax: 100, tailRowsMax: 50 });
  const vector = new Float32Array(16);
  for (let key = 1; key <= 2000; key++) {
    vector.forEach((_, at) => (vector[at] = Math.sin(key * (at + 1)) / Math.sqrt(8)));
    index.set(key, vector);
  }
  let turns = 0;
  while (index.build(0)) {
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(turns).toBeGreaterThan(1);
  index.set(1, vector);
  await index[Symbol.asyncDispose]();
  expect(index.build(Infinity)).toBe(false);
  expect(() => index.set(1, vector)).toThrow("assertion failed");
});
