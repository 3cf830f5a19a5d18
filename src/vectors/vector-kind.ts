import { Problem } from "../problems.ts";
import type { SegmentFacts, SegmentFiles, SegmentKind } from "../segments/segment-kind.ts";
import { buildVectorSegment } from "./build-segment.ts";
import { codeEngine } from "./code-engine.ts";
import { hnsw, type GraphDtype, type GraphEngine, type GraphShape } from "./graph-engine.ts";
import { RowsFile } from "./rows-file.ts";
import { scanPlain, type ScanTop } from "./scan.ts";
import { VectorDelta } from "./vector-delta.ts";
import { VectorSegment } from "./vector-segment.ts";

/**
 * What searches sealed vectors: a mapped graph, one in memory, or a comparison with all, without native code. `codes` reads
 * what usearch sealed as int8, without native code, and seals nothing.
 */
export type VectorEngine = "usearch" | "hnswlib" | "exact" | "codes";

export interface VectorKindOptions {
  dimensions: number;
  /** hnswlib has `f32` only and `exact` no graph: both ignore it. Default `i8`. */
  dtype?: GraphDtype;
  engine: VectorEngine;
  /** Rows below which a segment is scanned, which needs no building and is exact. */
  graphRowsMin?: number;
}

export type VectorKind = SegmentKind<VectorSegment, VectorDelta>;

/** A scan of so many rows takes about as long as a graph search (0.6 ms at 384 dimensions). */
const graphRowsMinDefault = 4096;

/** Layout of the files. */
const format = 1;

/**
 * Candidates for each neighbour asked for: int8 swaps more of them than float16. Measured for 100 neighbours of 30,000 real
 * passages: recall 0.963 with 1, 0.985 with 1.5 and 0.995 with 3, which takes twice as long; float16 has 0.966 with 1.
 */
const oversampling: Readonly<Record<GraphDtype, number>> = { f32: 1, f16: 1, i8: 1.5 };

/**
 * How vectors are sealed, merged and opened. Files are those of one engine, number format and library version.
 * @throws Problem `native_missing` where the engine's library cannot be loaded
 */
export async function createVectorKind(options: VectorKindOptions): Promise<VectorKind> {
  const { dimensions, graphRowsMin = graphRowsMinDefault } = options;
  const { engine, scan } = await loadEngine(options.engine);
  const dtype = options.engine === "hnswlib" ? "f32" : (options.dtype ?? "i8");
  const shape = { dimensions, dtype };
  return {
    name: "vectors",
    facts: factsOf(shape, engine),
    createDelta: () => new VectorDelta(dimensions, scan),
    open: (files) => openSegment(files, { shape, engine, scan }),
    build: (job) => buildVectorSegment(job, { shape, engine, graphRowsMin }),
  };
}

function factsOf({ dimensions, dtype }: GraphShape, engine: GraphEngine | undefined): SegmentFacts {
  const facts = { format, dimensions, metric: "cosine" };
  if (engine === undefined) return { ...facts, engine: "exact" };
  return { ...facts, engine: engine.name, dtype, library: engine.library, ...hnsw };
}

function openSegment(
  files: SegmentFiles,
  { shape, engine, scan }: { shape: GraphShape; engine: GraphEngine | undefined; scan: ScanTop },
): VectorSegment {
  const { rows, graph: graphPath } = files;
  if (rows === undefined) throw new Error("a segment of vectors has rows");
  const file = new RowsFile(rows, shape.dimensions);
  try {
    if ((graphPath === undefined) !== (file.nodes === 0)) {
      throw new Error("a graph is there or not, and its rows say otherwise");
    }
    const graph = graphPath === undefined ? undefined : engine?.open(graphPath, shape, file.nodes);
    return new VectorSegment({ file, graph, scan, oversampling: oversampling[shape.dtype] });
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Native libraries are loaded only where they are used. */
async function loadEngine(
  name: VectorEngine,
): Promise<{ engine: GraphEngine | undefined; scan: ScanTop }> {
  try {
    if (name === "usearch") {
      const [{ usearchEngine }, { scanNative }] = await Promise.all([
        import("./usearch-engine.ts"),
        import("./usearch-scan.ts"),
      ]);
      return { engine: usearchEngine, scan: scanNative };
    }
    if (name === "hnswlib") {
      const { loadHnswlibEngine } = await import("./hnswlib-engine.ts");
      return { engine: await loadHnswlibEngine(), scan: scanPlain };
    }
    return { engine: name === "codes" ? codeEngine : undefined, scan: scanPlain };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem("native_missing", `${name} cannot be loaded: ${why}. ${remedies[name]}`, {
      cause: error,
    });
  }
}

const remedies: Readonly<Record<VectorEngine, string>> = {
  usearch: "VECTOR_INDEX=exact works without it.",
  hnswlib:
    "Its package is compiled when it is installed, which needs node-gyp and a C++ compiler, and is not in the binary; VECTOR_INDEX=usearch needs neither.",
  exact: "",
  codes: "",
};
