import { expect, test } from "bun:test";
import { join } from "node:path";
import { codeEngine, openCodeGraph } from "../../../src/vectors/code-engine.ts";
import { usearchEngine } from "../../../src/vectors/usearch-engine.ts";
import { tempDir } from "../../support/temp-dir.ts";

const SHAPE = { dimensions: 3, dtype: "i8" } as const;
const AXES = [0, 1, 2].map((axis) => Float32Array.from([0, 1, 2], (at) => Number(at === axis)));

/** A graph of three vectors that usearch has saved. */
function savedGraph() {
  const dir = tempDir();
  const path = join(dir.path, "graph");
  const writer = usearchEngine.create(SHAPE, AXES.length);
  for (const [node, vector] of AXES.entries()) writer.add(node, vector);
  writer.save(path);
  writer.close();
  return { path, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

test("finds in a graph of int8 what usearch put there, under usearch's name", () => {
  using saved = savedGraph();
  const graph = codeEngine.open(saved.path, SHAPE, AXES.length);
  expect(AXES.map((vector) => graph.nearest(vector, 1)[0])).toEqual([0, 1, 2]);
  graph.close();
  expect([codeEngine.name, codeEngine.library]).toEqual([
    usearchEngine.name,
    usearchEngine.library,
  ]);
});

test("opens no graph of another size, of other dimensions or of other numbers", () => {
  using saved = savedGraph();
  expect(() => codeEngine.open(saved.path, SHAPE, 4)).toThrow("a graph of 3 nodes of 3 numbers");
  const wider = { ...SHAPE, dimensions: 4 };
  expect(() => openCodeGraph(saved.path, wider, 3)).toThrow("a graph of 3 nodes of 3 numbers");
  const floats = { ...SHAPE, dtype: "f16" } as const;
  expect(() => codeEngine.open(saved.path, floats, 3)).toThrow("only graphs of int8");
});

test("builds nothing", () => {
  using saved = savedGraph();
  expect(() => codeEngine.create(SHAPE, 3)).toThrow("graphs are built by usearch");
  expect(() => codeEngine.load(saved.path, SHAPE, 3)).toThrow("graphs are built by usearch");
});
