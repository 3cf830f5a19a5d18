import manifest from "../../package.json" with { type: "json" };
import { CodeGraph } from "./code-graph.ts";
import type { GraphEngine, GraphReader, GraphShape } from "./graph-engine.ts";

/** The library that builds and saves graphs, as segments name it. */
export const usearchLibrary = `usearch ${manifest.dependencies.usearch}`;

/**
 * Opens a graph of int8 vectors that usearch saved, without its library. @throws Error where the file does not hold `nodes`
 * nodes of this shape
 */
export function openCodeGraph(path: string, shape: GraphShape, nodes: number): GraphReader {
  const graph = new CodeGraph(path);
  if (graph.nodes === nodes && graph.dimensions === shape.dimensions) return graph;
  graph.close();
  throw new Error(`a graph of ${graph.nodes} nodes of ${graph.dimensions} numbers`);
}

/** Searches what usearch built of int8 vectors and builds nothing: no native code runs in the thread that has it. */
export const codeEngine: GraphEngine = {
  name: "usearch",
  library: usearchLibrary,
  create: () => refuse(),
  load: () => refuse(),
  open(path, shape, nodes) {
    if (shape.dtype !== "i8")
      throw new Error("only graphs of int8 vectors are read without usearch");
    return openCodeGraph(path, shape, nodes);
  },
};

function refuse(): never {
  throw new Error("graphs are built by usearch");
}
