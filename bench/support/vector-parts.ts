import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { finishSteps } from "../../src/segments/run-steps.ts";
import type { BuildSource, SegmentFiles } from "../../src/segments/segment-kind.ts";
import { hnsw } from "../../src/vectors/graph-engine.ts";
import { exactSearch, Index, MetricKind, ScalarKind } from "../../src/vectors/usearch-native.ts";
import type { VectorKind } from "../../src/vectors/vector-kind.ts";
import { clusteredVectors } from "./clustered-vectors.ts";

/** Vectors one after the other with their keys. */
export interface Rows {
  dimensions: number;
  keys: readonly number[];
  vectors: Float32Array<ArrayBuffer>;
}

export function vectorAt({ dimensions, vectors }: Rows, row: number): Float32Array {
  return vectors.subarray(row * dimensions, (row + 1) * dimensions);
}

/** Some rows, copied. */
export function pickRows(rows: Rows, picked: readonly number[]): Rows {
  const { dimensions } = rows;
  const vectors = new Float32Array(picked.length * dimensions);
  for (const [at, row] of picked.entries()) vectors.set(vectorAt(rows, row), at * dimensions);
  return { dimensions, keys: picked.map((row) => rows.keys[row] ?? 0), vectors };
}

/** The vectors of a seed, made once and kept in the cache. */
export async function cachedVectors(
  cache: string,
  { count, dimensions, seed }: { count: number; dimensions: number; seed: number },
): Promise<Float32Array<ArrayBuffer>> {
  const path = join(cache, `vectors-${count}x${dimensions}-${seed}`);
  if (!existsSync(path)) {
    await Bun.write(`${path}.tmp`, clusteredVectors(count, dimensions, seed));
    renameSync(`${path}.tmp`, path);
  }
  return new Float32Array(await Bun.file(path).arrayBuffer());
}

/** An index of usearch's own, in memory, as the segments' graphs are made. */
export function bareIndex(dimensions: number): Index {
  return new Index({
    dimensions,
    metric: MetricKind.Cos,
    quantization: ScalarKind.F16,
    connectivity: hnsw.connectivity,
    expansion_add: hnsw.expansionAdd,
    expansion_search: hnsw.expansionSearch,
    multi: false,
  });
}

/** Adds rows to an index under their numbers; gives the milliseconds. */
export function addBare(index: Index, rows: Rows): number {
  const start = performance.now();
  for (let row = 0; row < rows.keys.length; row++) index.add(BigInt(row), vectorAt(rows, row), 1);
  return performance.now() - start;
}

/** usearch's own index of some rows, built once and kept in the cache. */
export function cachedBare(cache: string, name: string, rows: Rows): Index {
  const path = join(cache, `${name}.usearch`);
  const index = bareIndex(rows.dimensions);
  if (existsSync(path)) {
    index.load(path);
    return index;
  }
  addBare(index, rows);
  index.save(`${path}.tmp`);
  renameSync(`${path}.tmp`, path);
  return index;
}

/** Files of a sealed segment of some rows, built once and kept in the cache, with the milliseconds that it took then. */
export function cachedSegment(
  cache: string,
  kind: VectorKind,
  { name, rows }: { name: string; rows: () => Rows },
): { files: SegmentFiles; ms: number | undefined } {
  const folder = join(cache, `${name}-${Bun.hash(JSON.stringify(kind.facts)).toString(16)}`);
  let ms: number | undefined;
  if (!existsSync(folder)) ms = buildSegmentIn(folder, kind, rows());
  const files: Record<string, string> = { rows: join(folder, "rows") };
  if (existsSync(join(folder, "graph"))) files["graph"] = join(folder, "graph");
  return { files, ms };
}

function buildSegmentIn(folder: string, kind: VectorKind, rows: Rows): number {
  const temporary = `${folder}.tmp`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(join(temporary, "delta"), { recursive: true });
  mkdirSync(join(temporary, "new"));
  const start = performance.now();
  const delta = kind.createDelta();
  for (const [row, key] of rows.keys.entries()) delta.set(key, vectorAt(rows, row));
  const files = finishSteps(delta.dump(join(temporary, "delta")));
  const source: BuildSource = { files, dead: new Uint8Array(), rows: delta.size };
  const job = { kind: kind.name, facts: kind.facts, sources: [source] };
  finishSteps(kind.build({ ...job, folder: join(temporary, "new") }));
  const ms = performance.now() - start;
  renameSync(join(temporary, "new"), folder);
  rmSync(temporary, { recursive: true });
  return ms;
}

/** The keys of the `k` best rows, by comparison with all. */
export function bestKeys(rows: Rows, query: Float32Array, k: number): Set<number> {
  const count = Math.min(k, rows.keys.length);
  const { dimensions, vectors, keys } = rows;
  const found = exactSearch(vectors, query.slice(), dimensions, count, MetricKind.IP, 1);
  return new Set(Array.from(found.keys, (row) => keys[Number(row)] ?? 0));
}
