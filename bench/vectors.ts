/**
 * The vector index on sealed segments against usearch alone, in one process, on the same vectors: recall@10 and time of
 * searches, plain, filtered, and after deletions and replacements. `--million` measures a million vectors instead.
 * `bun bench/vectors.ts [--million] [--cache FOLDER] [--json FILE]`
 */
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { RowSet } from "../src/segments/row-set.ts";
import { searchParts, type VectorParts } from "../src/vectors/search-parts.ts";
import { SortedKeys } from "../src/vectors/sorted-keys.ts";
import type { AllowedKeys, VectorSearch } from "../src/vectors/vector-index.ts";
import { createVectorKind } from "../src/vectors/vector-kind.ts";
import { measureMillion } from "./support/million-vectors.ts";
import {
  bestKeys,
  cachedBare,
  cachedSegment,
  cachedVectors,
  pickRows,
  vectorAt,
  type Rows,
} from "./support/vector-parts.ts";
import { machineFacts } from "./support/load-results.ts";

const COUNT = 100_000;
const DIMENSIONS = 384;
const SEED = 384;
const QUERIES = 500;
/** Queries in search of a dead hit. */
const QUERIES_DEAD = 10_000;
const REPLACED = COUNT / 20;
const K = 10;
/** Searches that are not counted. */
const WARMING = 100;
const SHARES = [0.001, 0.01, 0.1, 0.5];

const RECALL_MIN = 0.99;
/** Median time against usearch's own search. */
const BARE_RATIO_MAX = 1.3;
/** Median time of a filtered search against one without a filter. */
const FILTERED_RATIO_MAX = 3;

/** A way of searching, with the keys that it should find. */
interface Way {
  name: string;
  search: (query: Float32Array) => Iterable<number>;
  truth: readonly Set<number>[];
}

/** The way whose median time another one's is held against, and the ratio that it must not pass. */
interface Against {
  way: Way;
  ratioMax: number;
}

interface Row {
  name: string;
  recall10: number;
  p50_us: number;
  p99_us: number;
  against: string;
  against_p50_us: number | null;
  ratio: number | null;
  ratio_max: number | null;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

/**
 * Runs a way and the one that it is held against in turn, so that what else goes on meets both alike; never two on the
 * same query one after the other, as the first would fetch the second's memory into the caches.
 */
function measure(way: Way, against: Against | undefined, queries: readonly Float32Array[]): Row {
  const ways = against === undefined ? [way] : [way, against.way];
  const times = ways.map(() => new Float64Array(queries.length));
  let hits = 0;
  let wanted = 0;
  for (let round = -WARMING; round < queries.length; round++) {
    for (const [turn, { search }] of ways.entries()) {
      const at = (round + WARMING + turn * (queries.length >> 1)) % queries.length;
      const start = Bun.nanoseconds();
      const found = search(queries[at] ?? new Float32Array(DIMENSIONS));
      times[turn]?.fill((Bun.nanoseconds() - start) / 1000, round, round + 1);
      if (turn > 0 || round < 0) continue;
      for (const key of found) if (way.truth[at]?.has(key) === true) hits++;
      wanted += way.truth[at]?.size ?? 0;
    }
  }
  const [own = 0, other = 1] = times.map((each) => quantile(each, 0.5));
  return {
    name: way.name,
    recall10: rounded(hits / wanted, 4),
    p50_us: rounded(own, 0),
    p99_us: rounded(quantile(times[0], 0.99), 0),
    against: against?.way.name ?? "",
    against_p50_us: against ? rounded(other, 0) : null,
    ratio: against ? rounded(own / other, 2) : null,
    ratio_max: against?.ratioMax ?? null,
  };
}

function quantile(values: Float64Array | undefined, share: number): number {
  const ascending = values?.toSorted() ?? new Float64Array(1);
  return ascending[Math.floor(share * (ascending.length - 1))] ?? 0;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** Keys of a random share of all, as a set and as sorted keys. */
function randomFilter(share: number, seed: number): { set: Set<number>; sorted: SortedKeys } {
  let state = seed;
  const picked = range(1, COUNT + 1).filter(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 < share;
  });
  return { set: new Set(picked), sorted: new SortedKeys(Float64Array.from(picked)) };
}

async function measureHundredThousand(cache: string): Promise<{ rows: Row[]; deadHits: number }> {
  const count = COUNT + REPLACED + QUERIES_DEAD;
  const all: Rows = {
    dimensions: DIMENSIONS,
    keys: range(1, count + 1),
    vectors: await cachedVectors(cache, { count, dimensions: DIMENSIONS, seed: SEED }),
  };
  const first = pickRows(all, range(0, COUNT));
  const queries = range(COUNT + REPLACED, count).map((row) => vectorAt(all, row).slice());
  const some = queries.slice(0, QUERIES);
  const kind = await createVectorKind({ dimensions: DIMENSIONS, engine: "usearch" });
  console.log("building what is not cached: some minutes");
  const bare = cachedBare(cache, `bare-${COUNT}`, first);
  const { files } = cachedSegment(cache, kind, { name: `first-${COUNT}`, rows: () => first });
  const segment = kind.open(files);
  const parts: VectorParts = {
    sealed: [{ segment, dead: new RowSet(COUNT) }],
    frozen: [],
    active: kind.createDelta(),
  };
  const truth = some.map((query) => bestKeys(first, query, K));
  const alone: Way = {
    name: "usearch alone",
    search: (query) => Array.from(bare.search(query, K, 1).keys, (row) => Number(row) + 1),
    truth,
  };
  const plain: Way = { ...ours("one segment", parts), truth };
  const rows = [
    measure(alone, undefined, some),
    measure(plain, { way: alone, ratioMax: BARE_RATIO_MAX }, some),
    ...SHARES.flatMap((share) => filteredWays(share, { parts, first, some })).map((way) =>
      measure(way, { way: plain, ratioMax: FILTERED_RATIO_MAX }, some),
    ),
  ];
  const changed = measureChanged({ all, queries, kind, cache, segment });
  return { rows: [...rows, ...changed.rows], deadHits: changed.deadHits };
}

function ours(name: string, parts: VectorParts, allowed?: AllowedKeys) {
  const search = (vector: Float32Array): number[] => {
    const query: VectorSearch = { vector, k: K, ...(allowed && { allowed }) };
    return searchParts(parts, query).map(({ key }) => key);
  };
  return { name, search };
}

/** A random share of keys allowed, given as a set and as sorted keys. */
function filteredWays(
  share: number,
  { parts, first, some }: { parts: VectorParts; first: Rows; some: readonly Float32Array[] },
): Way[] {
  const { set, sorted } = randomFilter(share, SEED);
  const kept = pickRows(
    first,
    Array.from(set, (key) => key - 1),
  );
  const truth = some.map((query) => bestKeys(kept, query, K));
  const name = `${share * 100} % allowed`;
  return [
    { ...ours(`${name}, Set`, parts, set), truth },
    { ...ours(`${name}, SortedKeys`, parts, sorted), truth },
  ];
}

/** One in twenty deleted, another one in twenty replaced by vectors in a second segment. */
function measureChanged({
  all,
  queries,
  kind,
  cache,
  segment,
}: {
  all: Rows;
  queries: readonly Float32Array[];
  kind: Awaited<ReturnType<typeof createVectorKind>>;
  cache: string;
  segment: VectorParts["sealed"][number]["segment"];
}): { rows: Row[]; deadHits: number } {
  const dead = new RowSet(COUNT);
  const deleted = new Set<number>();
  for (let row = 0; row < COUNT; row += 20) {
    dead.add(row);
    deleted.add(row + 1);
    dead.add(row + 1);
  }
  const newRows = pickRows(all, range(COUNT, COUNT + REPLACED));
  const replaced: Rows = { ...newRows, keys: newRows.keys.map((_, at) => at * 20 + 2) };
  const second = cachedSegment(cache, kind, { name: "replaced", rows: () => replaced });
  const added = kind.open(second.files);
  const parts: VectorParts = {
    sealed: [
      { segment, dead },
      { segment: added, dead: new RowSet(REPLACED) },
    ],
    frozen: [],
    active: kind.createDelta(),
  };
  const kept = range(0, COUNT).filter((row) => !dead.has(row));
  const live = pickRows(all, [...kept, ...range(COUNT, COUNT + REPLACED)]);
  const liveRows: Rows = { ...live, keys: [...live.keys.slice(0, kept.length), ...replaced.keys] };
  const some = queries.slice(0, QUERIES);
  const truth = some.map((query) => bestKeys(liveRows, query, K));
  const rows = [measure({ ...ours("5 % deleted, 5 % replaced", parts), truth }, undefined, some)];
  let deadHits = 0;
  const vectorOf = new Map(liveRows.keys.map((key, row) => [key, row]));
  for (const vector of queries) {
    for (const { key, score } of searchParts(parts, { vector, k: K })) {
      const row = vectorOf.get(key);
      const isStale = row === undefined || Math.abs(dot(liveRows, row, vector) - score) > 1e-6;
      if (deleted.has(key) || isStale) deadHits++;
    }
  }
  added.close();
  return { rows, deadHits };
}

function dot(rows: Rows, row: number, query: Float32Array): number {
  return vectorAt(rows, row).reduce((sum, number, at) => sum + number * (query[at] ?? 0), 0);
}

const { values } = parseArgs({
  options: {
    million: { type: "boolean", default: false },
    cache: { type: "string", default: join(tmpdir(), "slipstream-bench-vectors") },
    json: { type: "string" },
  },
});
mkdirSync(values.cache, { recursive: true });
const machine = machineFacts();
const missed: string[] = [];
let result: object;
if (values.million) {
  const million = await measureMillion(values.cache);
  console.table(million.figures);
  missed.push(...million.missed);
  result = { machine, million: million.figures };
} else {
  const { rows, deadHits } = await measureHundredThousand(values.cache);
  console.table(rows);
  console.log(`${deadHits} dead or stale neighbours in ${QUERIES_DEAD} queries`);
  for (const row of rows) {
    if (row.recall10 < RECALL_MIN) missed.push(`${row.name}: recall ${row.recall10}`);
    if ((row.ratio ?? 0) > (row.ratio_max ?? Infinity))
      missed.push(`${row.name}: ratio ${row.ratio}`);
  }
  if (deadHits > 0) missed.push(`${deadHits} dead neighbours`);
  const queries_dead = QUERIES_DEAD;
  result = { machine, vectors: COUNT, dimensions: DIMENSIONS, rows, queries_dead, deadHits };
}
if (values.json !== undefined) {
  const file = Bun.file(values.json);
  const before: object = (await file.exists()) ? await file.json() : {};
  await Bun.write(file, `${JSON.stringify({ ...before, ...result }, null, 2)}\n`);
}
console.log(missed.length === 0 ? "every floor is held" : `missed: ${missed.join("; ")}`);
process.exitCode = missed.length === 0 ? 0 : 1;
