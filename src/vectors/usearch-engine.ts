import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { openCodeGraph, usearchLibrary } from "./code-engine.ts";
import { canScoreCodes } from "./code-rows.ts";
import { hnsw, type GraphEngine, type GraphReader, type GraphShape } from "./graph-engine.ts";
import { Index, MetricKind, ScalarKind } from "./usearch-native.ts";

/** Native bytes of a node of a mapped graph: its places in the node table and in the table of keys. */
const nodeHeapBytes = 184;

const dtypes = {
  f32: { kind: ScalarKind.F32, bytes: 4 },
  f16: { kind: ScalarKind.F16, bytes: 2 },
  i8: { kind: ScalarKind.I8, bytes: 1 },
} as const;

/** usearch's HNSW: mapped from its file when searched, by code of our own where the numbers are int8, and in memory when built. */
export const usearchEngine: GraphEngine = {
  name: "usearch",
  library: usearchLibrary,
  create: (shape) => writerOf(createIndex(shape)),
  load(path, shape) {
    const index = createIndex(shape);
    index.load(path);
    return writerOf(index);
  },
  open(path, shape, nodes) {
    // A reader of our own is quicker, and cannot end the process.
    if (shape.dtype === "i8" && canScoreCodes) return openCodeGraph(path, shape, nodes);
    checkHead(path, shape, nodes);
    // A new index for every file: one that fails to map a file is left empty.
    const index = createIndex(shape);
    view(index, path);
    if (index.size() !== nodes || index.dimensions() !== shape.dimensions) {
      release(index);
      throw new Error(`a graph of ${index.size()} nodes`);
    }
    return readerOf(index, nodes);
  },
};

/** Maps a file. @throws what usearch says that it cannot */
function view(index: Index, path: string): void {
  try {
    index.view(path);
  } catch (error) {
    // A failed one has closed descriptor 0: the next file that somebody opens must not get its number and be closed so.
    const descriptor = openSync(devNull, "r");
    if (descriptor > 0) closeSync(descriptor);
    throw error;
  }
}

function createIndex({ dimensions, dtype }: GraphShape): Index {
  return new Index({
    dimensions,
    metric: MetricKind.Cos,
    quantization: dtypes[dtype].kind,
    connectivity: hnsw.connectivity,
    expansion_add: hnsw.expansionAdd,
    expansion_search: hnsw.expansionSearch,
    multi: false,
  });
}

/** Dimensions and number format silently come from the file, so they are compared with its first 8 bytes before. */
function checkHead(path: string, { dimensions, dtype }: GraphShape, nodes: number): void {
  const head = new Uint32Array(2);
  const descriptor = openSync(path, "r");
  try {
    readSync(descriptor, head);
  } finally {
    closeSync(descriptor);
  }
  if (head[0] !== nodes) throw new Error(`a graph of ${head[0]} nodes`);
  const bytes = dimensions * dtypes[dtype].bytes;
  if (head[1] !== bytes) throw new Error(`a graph of ${head[1]} bytes a vector, not ${bytes}`);
}

function readerOf(index: Index, nodes: number): GraphReader {
  return {
    nodes,
    heapBytes: nodes * nodeHeapBytes,
    nearest(query, fetch) {
      const { keys } = index.search(query, fetch, 1);
      const halves = new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2);
      // Nodes are below 2^31, so that the low halves are all of them; a bigint each would cost more.
      const found = new Uint32Array(keys.length);
      for (let at = 0; at < found.length; at++) found[at] = halves[2 * at] ?? 0;
      return found;
    },
    close: () => release(index),
  };
}

function writerOf(index: Index) {
  return {
    add: (node: number, vector: Float32Array) => index.add(BigInt(node), vector, 1),
    save: (path: string) => index.save(path),
    close: () => release(index),
  };
}

/**
 * Empties an index at once: memory, mapping and descriptor. usearch's API has no call for it, but its `load` lets go of
 * everything before it reads a file, which is one of no nodes here. Where there is no room for that file, the garbage
 * collector does it some time later. A `view` that fails must not be used for it: that closes descriptor 0, whosever it is.
 */
function release(index: Index): void {
  try {
    const folder = mkdtempSync(join(tmpdir(), "slipstream-"));
    try {
      const empty = join(folder, "empty");
      createIndex({ dimensions: 1, dtype: "f32" }).save(empty);
      index.load(empty);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } catch {
    // The collector will come to it.
  }
}
