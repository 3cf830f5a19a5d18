import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { RowSet } from "../../../src/segments/row-set.ts";
import { finishSteps } from "../../../src/segments/run-steps.ts";
import type { BuildSource, Built } from "../../../src/segments/segment-kind.ts";
import { RowsFile } from "../../../src/vectors/rows-file.ts";
import { searchParts } from "../../../src/vectors/search-parts.ts";
import { createVectorKind, type VectorKind } from "../../../src/vectors/vector-kind.ts";
import { temporaryFolder } from "../../conformance/segmented.ts";
import { clustered, dimensions, seeded } from "../../conformance/vector-index.ts";

const kind = await createVectorKind({ dimensions, engine: "usearch", graphRowsMin: 50 });

function dumped(root: string, vectors: ReadonlyMap<number, Float32Array>): BuildSource {
  const folder = join(root, `delta-${crypto.randomUUID()}`);
  mkdirSync(folder);
  const delta = kind.createDelta();
  for (const [key, vector] of vectors) delta.set(key, vector);
  return { files: finishSteps(delta.dump(folder)), dead: new Uint8Array(), rows: vectors.size };
}

function build(root: string, sources: readonly BuildSource[], of: VectorKind = kind): Built {
  const folder = join(root, `built-${crypto.randomUUID()}`);
  mkdirSync(folder);
  return finishSteps(of.build({ kind: of.name, facts: of.facts, sources, folder }));
}

function draws(from: number, to: number, seed: number): Map<number, Float32Array> {
  const draw = clustered(seeded(seed));
  return new Map(Array.from({ length: to - from }, (_, at) => [from + at, draw()]));
}

/** A built segment as a source, with rows of these keys dead. */
function sourceOf(built: Built, deadKeys: readonly number[]): BuildSource {
  const segment = kind.open(built.files);
  const dead = new RowSet(built.rows, built.dead.length > 0 ? built.dead.slice() : undefined);
  for (const key of deadKeys) dead.add(segment.rowOf(key));
  segment.close();
  return { files: built.files, dead: dead.bits, rows: built.rows };
}

test("a merge into a large segment keeps its rows; dead ones lose their key, which may come again", () => {
  using folder = temporaryFolder();
  const first = build(folder.path, [dumped(folder.path, draws(1, 201, 71))]);
  const replaced = draws(5, 6, 72);
  const fresh = dumped(folder.path, new Map([...replaced, ...draws(300, 320, 73)]));
  const merged = build(folder.path, [fresh, sourceOf(first, [5, 7])]);
  expect(merged.rows).toBe(221);
  expect(new RowSet(221, merged.dead.slice()).size).toBe(2);
  const segment = kind.open(merged.files);
  expect([5, 7, 8, 300].map((key) => segment.rowOf(key))).toEqual([200, -1, 7, 201]);
  expect(segment.holds(200, replaced.get(5) ?? new Float32Array())).toBe(true);
  segment.close();

  const alone = build(folder.path, [sourceOf(merged, [8])]);
  expect([alone.rows, alone.dead.length]).toEqual([218, 0]);
});

test("too many dead rows, and everything is built anew in the order of the keys", () => {
  using folder = temporaryFolder();
  const first = build(folder.path, [dumped(folder.path, draws(1, 201, 74))]);
  const dead = Array.from({ length: 20 }, (_, at) => 10 * at + 1);
  const merged = build(folder.path, [sourceOf(first, dead), dumped(folder.path, draws(1, 2, 75))]);
  expect([merged.rows, merged.dead.length]).toEqual([181, 0]);
  const segment = kind.open(merged.files);
  expect([1, 2, 11, 200].map((key) => segment.rowOf(key))).toEqual([0, 1, -1, 180]);
  segment.close();
});

test("few rows get no graph, and neither does an index that is scanned", async () => {
  using folder = temporaryFolder();
  const few = dumped(folder.path, draws(1, 50, 76));
  expect(Object.keys(build(folder.path, [few]).files)).toEqual(["rows"]);
  const many = dumped(folder.path, draws(1, 51, 76));
  expect(Object.keys(build(folder.path, [many]).files)).toEqual(["rows", "graph"]);
  const exact = await createVectorKind({ dimensions, engine: "exact" });
  expect(Object.keys(build(folder.path, [many], exact).files)).toEqual(["rows"]);
});

test("of nothing but dead rows nothing is left", () => {
  using folder = temporaryFolder();
  const first = build(folder.path, [dumped(folder.path, draws(1, 4, 77))]);
  const built = build(folder.path, [sourceOf(first, [1, 2, 3])]);
  expect([built.rows, kind.open(built.files).rows]).toEqual([0, 0]);
});

test("equal vectors share a node, in a copied graph too, and each is found", () => {
  using folder = temporaryFolder();
  const twin = draws(1, 2, 78).get(1) ?? new Float32Array();
  const vectors = draws(1, 101, 79);
  for (const key of [10, 20, 30]) vectors.set(key, twin);
  const first = build(folder.path, [dumped(folder.path, vectors)]);
  const fresh = new Map([...draws(200, 203, 80), [210, twin], [211, twin]]);
  const merged = build(folder.path, [sourceOf(first, [10]), dumped(folder.path, fresh)]);
  const file = new RowsFile(merged.files["rows"] ?? "", dimensions);
  expect([file.size, file.nodes]).toEqual([105, 101]);
  file.close();
  const segment = kind.open(merged.files);
  const sealed = [{ segment, dead: new RowSet(merged.rows, merged.dead.slice()) }];
  const parts = { sealed, frozen: [], active: kind.createDelta() };
  const found = searchParts(parts, { vector: twin, k: 4 });
  expect(found.map(({ key }) => key)).toEqual([20, 30, 210, 211]);
  segment.close();
});

test("steps are many and short: a reader waits for none but the graph's own reading and writing", () => {
  using folder = temporaryFolder();
  const source = dumped(folder.path, draws(1, 2001, 81));
  const target = join(folder.path, "target");
  mkdirSync(target);
  const job = { kind: kind.name, facts: kind.facts, sources: [source], folder: target };
  let steps = 0;
  for (const steps_ = kind.build(job); steps_.next().done !== true;) steps++;
  expect(steps).toBeGreaterThan(2000);
});
