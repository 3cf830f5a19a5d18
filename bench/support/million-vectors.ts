import { rmSync } from "node:fs";
import { join } from "node:path";
import { RowSet } from "../../src/segments/row-set.ts";
import { searchParts, type VectorParts } from "../../src/vectors/search-parts.ts";
import { createVectorKind } from "../../src/vectors/vector-kind.ts";
import {
  addBare,
  bareIndex,
  bestKeys,
  cachedSegment,
  cachedVectors,
  pickRows,
  type Rows,
} from "./vector-parts.ts";

const COUNT = 1_000_000;
const DIMENSIONS = 256;
const SEED = 256;
/** As a set of segments lays them out: none has more than 262,144 rows. */
const SEGMENTS = 4;
const QUERIES = 200;
const K = 10;
/** Rows added to a bare index and to a new segment, to compare the rates. */
const RATE_ROWS = 20_000;

const RECALL_MIN = 0.97;
/** Time of building a segment, files and all, against bare adds of the same rows. */
const BUILD_RATIO_MAX = 1.3;

/** A million vectors: building, opening, memory, recall against a comparison with all. */
export async function measureMillion(
  cache: string,
): Promise<{ figures: Record<string, number>; missed: string[] }> {
  const kind = await createVectorKind({ dimensions: DIMENSIONS, engine: "usearch" });
  const count = COUNT + QUERIES;
  const read = () => cachedVectors(cache, { count, dimensions: DIMENSIONS, seed: SEED });
  const keys = Array.from({ length: count }, (_, row) => row + 1);
  let vectors: Float32Array<ArrayBuffer> | undefined = await read();
  const queries = keys
    .slice(COUNT)
    .map((key) => vectors?.slice((key - 1) * DIMENSIONS, key * DIMENSIONS) ?? new Float32Array());
  const rowsOf = (from: number, to: number): Rows => {
    const all = { dimensions: DIMENSIONS, keys, vectors: vectors ?? new Float32Array() };
    return pickRows(
      all,
      keys.slice(from, to).map((key) => key - 1),
    );
  };
  const rate = compareRates(cache, kind, rowsOf(0, RATE_ROWS));
  const size = COUNT / SEGMENTS;
  const files = [];
  let builtMs = 0;
  for (let at = 0; at < SEGMENTS; at++) {
    const rows = (): Rows => rowsOf(at * size, (at + 1) * size);
    const built = cachedSegment(cache, kind, { name: `million-${at}`, rows });
    builtMs += built.ms ?? Number.NaN;
    files.push(built.files);
  }
  vectors = undefined;
  Bun.gc(true);
  const rssBefore = process.memoryUsage.rss();
  const start = performance.now();
  const sealed = files.map((one) => ({ segment: kind.open(one), dead: new RowSet(size) }));
  const parts: VectorParts = { sealed, frozen: [], active: kind.createDelta() };
  const openMs = performance.now() - start;
  searchParts(parts, { vector: queries[0] ?? new Float32Array(DIMENSIONS), k: K });
  const firstAnswerMs = performance.now() - start;
  const heapMb = sealed.reduce((sum, { segment }) => sum + segment.heapBytes, 0) / 1e6;
  const rssMb = (process.memoryUsage.rss() - rssBefore) / 1e6;
  const times: number[] = [];
  const found = queries.map((vector) => {
    const startMs = performance.now();
    const neighbours = searchParts(parts, { vector, k: K });
    times.push((performance.now() - startMs) * 1000);
    return neighbours;
  });
  const rssAfterMb = (process.memoryUsage.rss() - rssBefore) / 1e6;
  const all: Rows = {
    dimensions: DIMENSIONS,
    keys,
    vectors: (await read()).slice(0, COUNT * DIMENSIONS),
  };
  let hits = 0;
  for (const [at, query] of queries.entries()) {
    const best = bestKeys(all, query, K);
    hits += (found[at] ?? []).filter(({ key }) => best.has(key)).length;
  }
  const figures = {
    ...rate,
    ...(Number.isNaN(builtMs) ? {} : { rows_built_per_s: Math.round((COUNT / builtMs) * 1000) }),
    open_ms: Math.round(openMs),
    first_answer_ms: Math.round(firstAnswerMs),
    heap_estimate_mb: Math.round(heapMb),
    resident_after_open_mb: Math.round(rssMb),
    resident_after_queries_mb: Math.round(rssAfterMb),
    search_p50_us: Math.round(times.toSorted((a, b) => a - b)[QUERIES >> 1] ?? 0),
    recall10: hits / (QUERIES * K),
  };
  const missed = [];
  if (figures.recall10 < RECALL_MIN) missed.push(`recall ${figures.recall10}`);
  if (rate.build_ratio > BUILD_RATIO_MAX) missed.push(`build ratio ${rate.build_ratio}`);
  return { figures, missed };
}

/** Milliseconds of building a segment, from vectors in memory to files, against usearch's own adds. */
function compareRates(
  cache: string,
  kind: Awaited<ReturnType<typeof createVectorKind>>,
  rows: Rows,
): { bare_adds_per_s: number; build_ratio: number } {
  const bareMs = addBare(bareIndex(DIMENSIONS), rows);
  const folder = join(cache, `rate-${process.pid}`);
  const { ms = Number.NaN } = cachedSegment(folder, kind, { name: "rate", rows: () => rows });
  rmSync(folder, { recursive: true });
  return {
    bare_adds_per_s: Math.round((rows.keys.length / bareMs) * 1000),
    build_ratio: Number((ms / bareMs).toFixed(2)),
  };
}
