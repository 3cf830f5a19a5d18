import { join } from "node:path";
import { RowSet } from "../segments/row-set.ts";
import type { BuildJob, BuildSource, Built, Steps } from "../segments/segment-kind.ts";
import type { GraphEngine, GraphShape, GraphWriter } from "./graph-engine.ts";
import { endOfChain, noKey, RowsFile, writeRowsFile } from "./rows-file.ts";
import { Twins } from "./twins.ts";

/** Share of dead rows up to which a segment's graph is copied and added to rather than built again. */
const copiedDeadShareMax = 0.1;

/** Rows that are looked at in one step where each takes a microsecond or less. */
const rowsPerStep = 512;

export interface VectorBuildOptions {
  shape: GraphShape;
  /** Undefined for an index that is always scanned. */
  engine: GraphEngine | undefined;
  /** Fewer rows than this get no graph. */
  graphRowsMin: number;
}

interface Source {
  file: RowsFile;
  dead: RowSet;
  graph: string | undefined;
}

/** Where the rows of the new segment come from. */
interface Plan {
  /** The source whose rows keep their numbers, dead ones included, and whose graph is copied. */
  base: Source | undefined;
  rows: number;
  keys: Float64Array<ArrayBuffer>;
  order: Int32Array<ArrayBuffer>;
  /** Number of the source, and row in it, of every row after the base's. */
  fromSource: Uint16Array<ArrayBuffer>;
  fromRow: Int32Array<ArrayBuffer>;
}

/**
 * Merges the live rows of all sources into new files. Where a large source's graph is nearly all alive it is read into
 * memory and the others' rows are added, so that a merge costs what is new in it; its dead rows stay, without a key. A
 * single source is always built from nothing, so that nothing dead is left.
 *
 * Reading and saving a graph are one step each, 1 ms a megabyte.
 */
export function* buildVectorSegment(job: BuildJob, options: VectorBuildOptions): Steps<Built> {
  const sources = job.sources.map((source) => openSource(source, options.shape.dimensions));
  try {
    const plan = yield* planRows(sources, options);
    const files: Record<string, string> = { rows: join(job.folder, "rows") };
    let next: Int32Array<ArrayBuffer> | undefined;
    let nodes = 0;
    if (plan.order.length >= options.graphRowsMin && options.engine !== undefined) {
      files["graph"] = join(job.folder, "graph");
      const build = { plan, sources, path: files["graph"], engine: options.engine };
      ({ next, nodes } = yield* buildGraph(build, options.shape));
    }
    const { keys, order, rows } = plan;
    const vectors = vectorsOf(plan, sources);
    const { dimensions } = options.shape;
    yield* writeRowsFile(join(job.folder, "rows"), {
      dimensions,
      keys,
      order,
      next,
      nodes,
      vectors,
    });
    return { rows, files, dead: deadOf(plan) };
  } finally {
    for (const { file } of sources) file.close();
  }
}

function openSource({ files, dead, rows }: BuildSource, dimensions: number): Source {
  const path = files["rows"];
  if (path === undefined) throw new Error("a source of vectors has rows");
  const file = new RowsFile(path, dimensions);
  return {
    file,
    dead: new RowSet(rows, dead.length > 0 ? dead.slice() : undefined),
    graph: files["graph"],
  };
}

function liveOf({ file, dead }: Source): number {
  return file.size - dead.size;
}

/** The largest source with a graph that is nearly all alive, if there is more than that one. */
function chooseBase(sources: readonly Source[], { engine, graphRowsMin }: VectorBuildOptions) {
  const isMerge = sources.filter((source) => liveOf(source) > 0).length > 1;
  if (engine === undefined || !isMerge) return undefined;
  return sources
    .filter(
      (source) =>
        source.graph !== undefined &&
        liveOf(source) >= graphRowsMin &&
        source.dead.size < source.file.size * copiedDeadShareMax,
    )
    .toSorted((a, b) => liveOf(b) - liveOf(a))[0];
}

/** Numbers the rows: the base's as they are, then the others' by ascending key. */
function* planRows(sources: readonly Source[], options: VectorBuildOptions): Steps<Plan> {
  const base = chooseBase(sources, options);
  const live = sources.reduce((sum, source) => sum + liveOf(source), 0);
  const baseRows = base?.file.size ?? 0;
  const added = live - (base === undefined ? 0 : liveOf(base));
  const plan: Plan = {
    base,
    rows: baseRows + added,
    keys: new Float64Array(baseRows + added).fill(noKey),
    order: new Int32Array(live),
    fromSource: new Uint16Array(added),
    fromRow: new Int32Array(added),
  };
  let rank = 0;
  let appended = 0;
  for (const { source, row } of mergeByKey(sources)) {
    const from = sources[source];
    let own = row;
    if (from !== base) {
      own = baseRows + appended;
      plan.fromSource[appended] = source;
      plan.fromRow[appended++] = row;
    }
    plan.keys[own] = from?.file.keyAt(row) ?? noKey;
    plan.order[rank++] = own;
    if (rank % rowsPerStep === 0) yield;
  }
  return plan;
}

/** The live rows of all sources by ascending key; sources are few. */
function* mergeByKey(sources: readonly Source[]): Generator<{ source: number; row: number }> {
  const ranks = sources.map((source) => nextLiveRank(source, 0));
  for (;;) {
    let best = -1;
    let bestKey = Infinity;
    for (const [at, source] of sources.entries()) {
      const rank = ranks[at] ?? Infinity;
      if (rank >= source.file.live) continue;
      const key = source.file.keyAt(source.file.rowByRank(rank));
      if (key < bestKey) [best, bestKey] = [at, key];
    }
    const source = sources[best];
    if (source === undefined) return;
    const rank = ranks[best] ?? 0;
    yield { source: best, row: source.file.rowByRank(rank) };
    ranks[best] = nextLiveRank(source, rank + 1);
  }
}

function nextLiveRank({ file, dead }: Source, from: number): number {
  let rank = from;
  while (rank < file.live && dead.has(file.rowByRank(rank))) rank++;
  return rank;
}

interface GraphBuild {
  plan: Plan;
  sources: readonly Source[];
  path: string;
  engine: GraphEngine;
}

/** Adds every row that is no twin of another one to the graph, and says which rows are twins. */
function* buildGraph(
  { plan, sources, path, engine }: GraphBuild,
  shape: GraphShape,
): Steps<{ next: Int32Array<ArrayBuffer> | undefined; nodes: number }> {
  const { base, rows } = plan;
  const baseRows = base?.file.size ?? 0;
  const vectorAt = (row: number): Float32Array => vectorOf(plan, sources, row);
  const twins = new Twins({ rowsMax: rows, ...shape, vectorAt });
  const next = new Int32Array(rows).fill(endOfChain);
  let nodes = yield* takeChains(base?.file, next, twins);
  const graph: GraphWriter =
    base?.graph === undefined
      ? engine.create(shape, rows)
      : engine.load(base.graph, shape, nodes + rows - baseRows);
  try {
    for (let row = baseRows; row < rows; row++) {
      const first = twins.firstOf(row, vectorAt(row));
      if (first === row) {
        graph.add(row, vectorAt(row));
        nodes++;
      } else {
        next[row] = next[first] ?? endOfChain;
        next[first] = row;
      }
      yield;
    }
    graph.save(path);
  } finally {
    graph.close();
  }
  yield;
  return { next: nodes === rows ? undefined : next, nodes };
}

/** Copies the chains of the base and gives its number of nodes: rows that no other row leads to. */
function* takeChains(file: RowsFile | undefined, next: Int32Array, twins: Twins): Steps<number> {
  const rows = file?.size ?? 0;
  const follows = new RowSet(rows);
  for (let row = 0; row < rows; row++) {
    next[row] = file?.nextOf(row) ?? endOfChain;
    if (next[row] !== endOfChain) follows.add(next[row] ?? 0);
    if (row % rowsPerStep === 0) yield;
  }
  for (let row = 0; row < rows; row++) {
    const vector = file?.rowsAt(row, row + 1);
    if (vector !== undefined && !follows.has(row)) twins.firstOf(row, vector);
    if (row % rowsPerStep === 0) yield;
  }
  return rows - follows.size;
}

function vectorOf(plan: Plan, sources: readonly Source[], row: number): Float32Array {
  const baseRows = plan.base?.file.size ?? 0;
  const at = row - baseRows;
  const file = at < 0 ? plan.base?.file : sources[plan.fromSource[at] ?? 0]?.file;
  const from = at < 0 ? row : (plan.fromRow[at] ?? 0);
  if (file === undefined) throw new Error("a row has a source");
  return file.rowsAt(from, from + 1);
}

function* vectorsOf(plan: Plan, sources: readonly Source[]): Generator<Float32Array> {
  if (plan.base !== undefined) yield plan.base.file.matrix();
  const baseRows = plan.base?.file.size ?? 0;
  for (let row = baseRows; row < plan.rows; row++) yield vectorOf(plan, sources, row);
}

/** The base's dead rows, in the place that they had. */
function deadOf({ base, rows, order }: Plan): Uint8Array {
  if (base === undefined || order.length === rows) return new Uint8Array();
  const dead = new RowSet(rows);
  for (let row = 0; row < base.file.size; row++) if (base.dead.has(row)) dead.add(row);
  return dead.bits;
}
