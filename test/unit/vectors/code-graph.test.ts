import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CodeGraph } from "../../../src/vectors/code-graph.ts";
import { canScoreCodes } from "../../../src/vectors/code-rows.ts";
import { hnsw, type GraphShape } from "../../../src/vectors/graph-engine.ts";
import { Index, MetricKind, ScalarKind } from "../../../src/vectors/usearch-native.ts";
import { usearchEngine } from "../../../src/vectors/usearch-engine.ts";
import { temporaryFolder } from "../../conformance/segmented.ts";
import { seeded } from "../../conformance/vector-index.ts";

const nodes = 3000;

/** Vectors of unit length around a few centres, drawn from a seed. */
function drawn(dimensions: number, count: number, seed: number): Float32Array[] {
  const random = seeded(seed);
  const centres = Array.from({ length: 20 }, () =>
    Float32Array.from({ length: dimensions }, () => random() - 0.5),
  );
  return Array.from({ length: count }, (_, at) => {
    const centre = centres[at % centres.length] ?? new Float32Array(dimensions);
    const vector = centre.map((number) => number + (random() - 0.5) * 0.8);
    const length = Math.hypot(...vector);
    return vector.map((number) => number / length);
  });
}

function save(path: string, vectors: readonly Float32Array[], dtype: GraphShape["dtype"]): void {
  const writer = usearchEngine.create({ dimensions: vectors[0]?.length ?? 1, dtype }, nodes);
  for (const [node, vector] of vectors.entries()) writer.add(node, vector);
  writer.save(path);
  writer.close();
}

/** usearch's own search of the same file. */
function nativeSearch(path: string, dimensions: number) {
  const index = new Index({
    dimensions,
    metric: MetricKind.Cos,
    quantization: ScalarKind.I8,
    connectivity: hnsw.connectivity,
    expansion_add: hnsw.expansionAdd,
    expansion_search: hnsw.expansionSearch,
    multi: false,
  });
  index.load(path);
  return (query: Float32Array, fetch: number): number[] =>
    Array.from(index.search(query, fetch, 1).keys, Number);
}

function dot(one: Float32Array, other: Float32Array): number {
  return one.reduce((sum, number, at) => sum + number * (other[at] ?? 0), 0);
}

/** Of the true `k` nearest, the share that was found. */
function recallOf(
  found: Iterable<number>,
  { vectors, query, k }: { vectors: readonly Float32Array[]; query: Float32Array; k: number },
): number {
  const scores = vectors.map((vector) => dot(vector, query));
  const least = scores.toSorted((a, b) => b - a)[k - 1] ?? 0;
  const good = [...found].filter((node) => (scores[node] ?? -1) >= least);
  return good.length / k;
}

test("vector instructions are there, so that what follows tests our own reader", () => {
  expect(canScoreCodes).toBe(true);
});

for (const dimensions of [3, 50, 256, 384]) {
  test(`of ${dimensions} dimensions, it finds as much as usearch does in the same file, kept or not`, () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "graph");
    const vectors = drawn(dimensions, nodes, 1);
    save(path, vectors, "i8");
    const [kept, inPlace] = [new CodeGraph(path), new CodeGraph(path, 0)];
    const native = nativeSearch(path, dimensions);
    let [ours, theirs] = [0, 0];
    const queries = drawn(dimensions, 40, 2);
    for (const query of queries) {
      const found = kept.nearest(query, 30);
      expect(found.length).toBe(30);
      expect(new Set(found).size).toBe(30);
      expect(inPlace.nearest(query, 30)).toEqual(found);
      const truth = { vectors, query, k: 10 };
      ours += recallOf(found, truth);
      theirs += recallOf(native(query, 30), truth);
    }
    // One or the other is ahead by chance.
    expect(ours).toBeGreaterThanOrEqual(theirs - 0.03 * queries.length);
    expect(kept.heapBytes).toBeGreaterThan(inPlace.heapBytes);
    kept.close();
    inPlace.close();
  });
}

test("nearest come first, and a fetch beyond the graph gives all nodes once", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "graph");
  const vectors = drawn(64, 200, 3);
  save(path, vectors, "i8");
  const graph = new CodeGraph(path);
  const query = vectors[17] ?? new Float32Array(64);
  const found = graph.nearest(query, 500);
  expect(found[0]).toBe(17);
  expect([...found].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, at) => at));
  const scores = [...found].map((node) => dot(vectors[node] ?? query, query));
  // As exact as one part in a hundred, which is what eight bits of 64 numbers give.
  for (const [at, score] of scores.slice(1).entries()) {
    expect(score).toBeLessThan((scores[at] ?? 0) + 0.02);
  }
  graph.close();
});

test("a graph without nodes finds nothing", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "graph");
  const writer = usearchEngine.create({ dimensions: 8, dtype: "i8" }, 1);
  writer.save(path);
  writer.close();
  expect(() => new CodeGraph(path)).not.toThrow();
  expect(new CodeGraph(path).nearest(new Float32Array(8), 5).length).toBe(0);
});

test("copies are kept up to the bound for all graphs together, and a closed one makes room", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "graph");
  save(path, drawn(32, 500, 4), "i8");
  const first = new CodeGraph(path);
  const copied = first.heapBytes;
  const inPlace = new CodeGraph(path, 0).heapBytes;
  // Room for one such graph and not for two, beside what other tests of this process hold.
  const held = copied - inPlace;
  first.close();
  first.close();
  const second = new CodeGraph(path, held * 2);
  expect(second.heapBytes).toBe(copied);
  const third = new CodeGraph(path, held * 2);
  expect(third.heapBytes).toBe(inPlace);
  second.close();
  expect(new CodeGraph(path, held * 2).heapBytes).toBe(copied);
});

test("a file of other numbers, a torn one and one that is no graph are refused", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "graph");
  const other = join(folder.path, "other");
  const broken = join(folder.path, "broken");
  save(path, drawn(64, 300, 5), "i8");
  save(other, drawn(64, 300, 5), "f16");
  expect(() => new CodeGraph(other)).toThrow("other numbers");
  expect(() => new CodeGraph(join(folder.path, "none"))).toThrow("ENOENT");
  const whole = readFileSync(path);
  const refuse = (bytes: Uint8Array, why?: string): void => {
    writeFileSync(broken, bytes);
    expect(() => new CodeGraph(broken)).toThrow(why);
  };
  refuse(whole.subarray(0, -4), "nodes end elsewhere");
  for (const size of [0, 4, 8, 1000]) refuse(whole.subarray(0, size));
  const head = 8 + 300 * 64;
  const changed = (at: number, byte: number): Uint8Array => {
    const copy = Uint8Array.from(whole);
    copy[at] = byte;
    return copy;
  };
  refuse(changed(head, 0), "no graph of usearch's");
  refuse(changed(head + 64, 1), "a graph of 257 nodes");
  refuse(changed(head + 64 + 8, 8), "8 and 32 links");
  refuse(changed(head + 64 + 33, 2), "without an entry");
});

test("whatever the links of a damaged file say, a search ends and gives nodes of the graph", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "graph");
  const count = 400;
  const vectors = drawn(64, count, 6);
  save(path, vectors, "i8");
  const whole = readFileSync(path);
  const linksAt = 8 + count * 64 + 64 + 40 + count * 2;
  const random = seeded(7);
  let found = 0;
  for (let round = 0; round < 100; round++) {
    const bytes = Uint8Array.from(whole);
    for (let flip = 0; flip < 2000; flip++) {
      bytes[linksAt + Math.floor(random() * (bytes.length - linksAt))] = Math.floor(random() * 256);
    }
    writeFileSync(path, bytes);
    const graph = new CodeGraph(path, round % 2 === 0 ? 0 : undefined);
    const query = vectors[round] ?? new Float32Array(64);
    found += graph.nearest(query, 10).length;
    graph.close();
  }
  expect(found).toBeGreaterThan(500);
});
