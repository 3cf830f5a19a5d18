import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../test/e2e/distinct-documents.ts";
import { bestKeys, pickRows, vectorAt, type Rows } from "../support/vector-parts.ts";

/** Numbers of a vector. */
export const DIMENSIONS = 384;
/** Held-out vectors, never stored. */
export const QUERIES = 1000;
/** Neighbours asked for. */
export const K = 10;

/** Gaussians that the vectors are drawn from, as texts gather around topics. */
const CLUSTERS = 300;
/** Directions in which those of one cluster differ. */
const RANK = 24;
/** Spread in each of them, and noise in every dimension, in the length of the centre. */
const SPREAD = 0.12;
const NOISE = 0.3;

/** What a search may be bound to: equality on a keyword field that is independent of the clusters. */
export const filters = { none: 0, percent1: 100, percent10: 10 } as const;
export type FilterName = keyof typeof filters;

/** Stored vectors, held-out queries and the truth by comparison with all. */
export interface VectorSet {
  /** `count` rows one after the other, unit length. */
  rows: Rows;
  queries: readonly Float32Array[];
  /** For each filter and query, the numbers of the rows that should be found. */
  truth: Readonly<Record<FilterName, readonly ReadonlySet<number>[]>>;
}

/** Metadata of a row: `percent1` has one of a hundred values, `percent10` one of ten, each as many times. */
export function metadataOf(row: number): { percent1: string; percent10: string } {
  return { percent1: `v${row % filters.percent1}`, percent10: `v${row % filters.percent10}` };
}

/** The value that a query's filter asks for. */
export function filterValue(filter: Exclude<FilterName, "none">, query: number): string {
  return `v${query % filters[filter]}`;
}

/** Numbers short enough for a request: eight decimals, so 384 of them take 4.9 KB. */
export function jsonVector(vector: Float32Array): number[] {
  return Array.from(vector, (number) => Math.round(number * 1e8) / 1e8);
}

/** The file that the vectors of a size are kept in, rows and then queries, for the processes that load them. */
export function vectorFile(cache: string, count: number): string {
  return join(cache, `peers-${count}x${DIMENSIONS}.f32`);
}

/**
 * The vectors of a size and their truth. Made once, half a minute at 100,000, and kept in the cache, from which other
 * processes read them too.
 */
export async function makeVectorSet(cache: string, count: number): Promise<VectorSet> {
  const path = vectorFile(cache, count);
  if (!existsSync(path)) {
    mkdirSync(cache, { recursive: true });
    await Bun.write(`${path}.tmp`, clusterVectors(count + QUERIES, DIMENSIONS));
    renameSync(`${path}.tmp`, path);
  }
  return setOf(new Float32Array(await Bun.file(path).arrayBuffer()), count);
}

/** Reads what `makeVectorSet` wrote, without the truth. */
export async function readVectors(
  cache: string,
  count: number,
): Promise<{ rows: Rows; queries: Float32Array[] }> {
  const all = new Float32Array(await Bun.file(vectorFile(cache, count)).arrayBuffer());
  return partsOf(all, count);
}

/** Only the queries: a process whose memory is measured does not hold the rows. */
export async function readQueries(cache: string, count: number): Promise<Float32Array[]> {
  const bytes = DIMENSIONS * Float32Array.BYTES_PER_ELEMENT;
  const end = (count + QUERIES) * bytes;
  const file = Bun.file(vectorFile(cache, count)).slice(count * bytes, end);
  const numbers = new Float32Array(await file.arrayBuffer());
  return Array.from({ length: QUERIES }, (_, at) =>
    numbers.slice(at * DIMENSIONS, (at + 1) * DIMENSIONS),
  );
}

function partsOf(all: Float32Array<ArrayBuffer>, count: number) {
  const keys = Array.from({ length: count }, (_, row) => row);
  const vectors = all.subarray(0, count * DIMENSIONS);
  const queries = Array.from({ length: QUERIES }, (_, at) =>
    all.slice((count + at) * DIMENSIONS, (count + at + 1) * DIMENSIONS),
  );
  return { rows: { dimensions: DIMENSIONS, keys, vectors }, queries };
}

function setOf(all: Float32Array<ArrayBuffer>, count: number): VectorSet {
  const { rows, queries } = partsOf(all, count);
  const truthOf = (groups: number): Set<number>[] => {
    const parts = Array.from({ length: groups }, (_, group) =>
      groups === 1
        ? rows
        : pickRows(
            rows,
            rows.keys.filter((row) => row % groups === group),
          ),
    );
    return queries.map((query, at) => bestKeys(parts[at % groups] ?? rows, query, K));
  };
  const truth = { none: truthOf(1), percent1: truthOf(100), percent10: truthOf(10) };
  return { rows, queries, truth };
}

/** Unit vectors of 300 Gaussians of 24 directions each, with noise in all; the seed is fixed. */
function clusterVectors(count: number, dimensions: number): Float32Array<ArrayBuffer> {
  const random = seededRandom(dimensions);
  const gaussian = (): number =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const drawn = (length: number): Float64Array => Float64Array.from({ length }, gaussian);
  const centres = drawn(CLUSTERS * dimensions);
  const directions = drawn(CLUSTERS * RANK * dimensions);
  const rows = new Float32Array(count * dimensions);
  for (let row = 0; row < count; row++) {
    const cluster = Math.floor(random() * CLUSTERS);
    const vector = rows.subarray(row * dimensions, (row + 1) * dimensions);
    for (let to = 0; to < dimensions; to++) {
      // Uniform noise of the same deviation as a normal one: 38 million normal numbers take their time.
      vector[to] =
        (centres[cluster * dimensions + to] ?? 0) + NOISE * Math.sqrt(12) * (random() - 0.5);
    }
    for (let at = 0; at < RANK; at++) {
      const share = SPREAD * gaussian();
      const from = (cluster * RANK + at) * dimensions;
      for (let to = 0; to < dimensions; to++) {
        vector[to] = (vector[to] ?? 0) + share * (directions[from + to] ?? 0);
      }
    }
    normalise(vector);
  }
  return rows;
}

function normalise(vector: Float32Array): void {
  const length = Math.sqrt(vector.reduce((sum, number) => sum + number * number, 0));
  for (let at = 0; at < vector.length; at++) vector[at] = (vector[at] ?? 0) / length;
}

/** Share of the truth that was found, 0…1. */
export function recallOf(
  found: readonly (readonly number[])[],
  truth: readonly ReadonlySet<number>[],
): number {
  let hits = 0;
  let wanted = 0;
  for (const [at, best] of truth.entries()) {
    wanted += best.size;
    hits += (found[at] ?? []).filter((row) => best.has(row)).length;
  }
  return hits / wanted;
}

/** A row's vector, a view. */
export function rowVector(rows: Rows, row: number): Float32Array {
  return vectorAt(rows, row);
}
