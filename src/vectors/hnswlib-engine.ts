import manifest from "../../package.json" with { type: "json" };
import { hnsw, type GraphEngine, type GraphShape, type GraphWriter } from "./graph-engine.ts";

/** What is used of hnswlib-node; the package is optional, so its own types may not be there. */
interface Hnsw {
  initIndex(options: { maxElements: number; m: number; efConstruction: number }): void;
  readIndexSync(path: string): void;
  writeIndexSync(path: string): void;
  resizeIndex(maxElements: number): void;
  addPoint(vector: number[], label: number): void;
  searchKnn(query: number[], k: number): { neighbors: number[] };
  getCurrentCount(): number;
  getNumDimensions(): number;
  setEf(ef: number): void;
}

interface HnswlibModule {
  HierarchicalNSW: new (space: "cosine", dimensions: number) => Hnsw;
}

/** Not a literal, so that a build does not look for a package that may not be there. */
const packageName: string = "hnswlib-node";

/** Native bytes of a node beside its float32 vector: links, label, lock and lookup. */
const nodeBytes = 250;

/**
 * hnswlib's HNSW, float32, held in memory: an oracle and a second choice beside usearch. Its package is compiled when it
 * is installed and left out where it cannot be. @throws Error where it is not there
 */
export async function loadHnswlibEngine(): Promise<GraphEngine> {
  // Boundary: an optional package without types; a version is pinned, and the conformance suite runs against it.
  const { HierarchicalNSW }: HnswlibModule = await import(packageName);

  const read = (path: string, { dimensions }: GraphShape): Hnsw => {
    const graph = new HierarchicalNSW("cosine", dimensions);
    graph.readIndexSync(path);
    return graph;
  };

  return {
    name: "hnswlib",
    library: `hnswlib-node ${manifest.optionalDependencies["hnswlib-node"]}`,
    create({ dimensions }, nodesMax) {
      const graph = new HierarchicalNSW("cosine", dimensions);
      graph.initIndex({
        maxElements: nodesMax,
        m: hnsw.connectivity,
        efConstruction: hnsw.expansionAdd,
      });
      return writerOf(graph);
    },
    load(path, shape, nodesMax) {
      const graph = read(path, shape);
      graph.resizeIndex(nodesMax);
      return writerOf(graph);
    },
    open(path, shape, nodes) {
      let graph: Hnsw | undefined = read(path, shape);
      const [count, length] = [graph.getCurrentCount(), graph.getNumDimensions()];
      if (count !== nodes || length !== shape.dimensions) {
        throw new Error(`a graph of ${count} nodes of ${length} dimensions`);
      }
      return {
        nodes,
        heapBytes: nodes * (4 * length + nodeBytes),
        nearest(query, fetch) {
          graph?.setEf(Math.max(fetch, hnsw.expansionSearch));
          return graph?.searchKnn(Array.from(query), Math.min(fetch, nodes)).neighbors ?? [];
        },
        // The garbage collector gives the memory back: the library has no call for it.
        close: () => (graph = undefined),
      };
    },
  };
}

function writerOf(graph: Hnsw): GraphWriter {
  return {
    add: (node, vector) => graph.addPoint(Array.from(vector), node),
    save: (path) => graph.writeIndexSync(path),
    close: () => {},
  };
}
