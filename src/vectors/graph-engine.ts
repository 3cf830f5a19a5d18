/** How a graph keeps its vectors: fewer bits take less memory and time, and scores never come from them. */
export type GraphDtype = "f32" | "f16" | "i8";

/** A graph in a file, to be searched. */
export interface GraphReader {
  readonly nodes: number;
  /** Heap and native bytes held beside what is mapped. */
  readonly heapBytes: number;
  /** The `fetch` nearest nodes, nearest first: approximate, and fewer where the graph reaches no more. */
  nearest(query: Float32Array, fetch: number): ArrayLike<number>;
  /** Gives memory, mapping and descriptor back at once. */
  close(): void;
}

/** A graph in memory that grows. Nodes are numbers below 2^31 and are never taken out. */
export interface GraphWriter {
  /** O(log nodes): 0.2 to 1 ms. @throws Error when native memory is out */
  add(node: number, vector: Float32Array): void;
  /** Writes a new file at once: 1 ms a megabyte. */
  save(path: string): void;
  /** Gives the memory back at once. */
  close(): void;
}

export interface GraphShape {
  dimensions: number;
  dtype: GraphDtype;
}

/** A library of HNSW graphs. */
export interface GraphEngine {
  readonly name: string;
  /** Library and version: a graph that another one wrote is not opened. */
  readonly library: string;
  create(shape: GraphShape, nodesMax: number): GraphWriter;
  /** Reads a graph into memory, to add to it. */
  load(path: string, shape: GraphShape, nodesMax: number): GraphWriter;
  /** @throws Error where the file does not hold `nodes` nodes of this shape */
  open(path: string, shape: GraphShape, nodes: number): GraphReader;
}

/**
 * HNSW parameters (Malkov and Yashunin, 2016): M, efConstruction and ef. They are part of a segment's facts.
 */
export const hnsw = { connectivity: 16, expansionAdd: 128, expansionSearch: 64 } as const;
