/**
 * One document of one chunk against many standing queries by meaning: every query scored in float32, as a kernel of vector
 * instructions does it, and the matcher's own two passes, whose answers are compared with the first.
 * `bun bench/matching.ts [--quick] [--json FILE]`
 */
import { parseArgs } from "node:util";
import { createRowSum } from "../src/embedding/row-sum.ts";
import { createQueryVectors } from "../src/standing-queries/query-vectors.ts";
import { clusteredVectors } from "./support/clustered-vectors.ts";
import { machineFacts } from "./support/load-results.ts";

const DIMENSIONS = 384;
/** Columns that the exact kernel takes at once. */
const STRETCH = 32;
/** By the number of queries: where the middle of the matcher's own times is above, the bench fails. */
const BARS_MS = new Map([
  [10_000, 2],
  [100_000, 10],
]);
/** Shares of the queries that match a document, by their thresholds. */
const SHARES = [0, 0.001, 0.01];

const { values } = parseArgs({
  options: { json: { type: "string" }, quick: { type: "boolean", default: false } },
});
const counts = values.quick ? [1000, 10_000] : [1000, 10_000, 100_000];
const documents = values.quick ? 100 : 300;

type Found = { row: number; score: number }[];

interface Way {
  name: string;
  match: (document: Float32Array) => Found;
}

function exactWay(queries: readonly Float32Array[], least: number): Way {
  const columns = Math.ceil(queries.length / STRETCH) * STRETCH;
  const all = new Float32Array(columns * DIMENSIONS);
  for (const [row, query] of queries.entries()) all.set(query, row * DIMENSIONS);
  const matrix = { values: all, rows: DIMENSIONS, columns, rowStep: 1, columnStep: DIMENSIONS };
  const kernel = createRowSum(matrix);
  return {
    name: "exact",
    match(document) {
      kernel.weights.set(document);
      kernel.sum.fill(0);
      kernel.add(DIMENSIONS);
      const found: Found = [];
      for (let row = 0; row < queries.length; row++) {
        const score = kernel.sum[row] ?? 0;
        if (score >= least) found.push({ row, score });
      }
      return found;
    },
  };
}

function codedWay(queries: readonly Float32Array[], least: number): Way {
  const table = createQueryVectors(DIMENSIONS);
  for (const query of queries) table.add(query, least);
  return { name: "coded", match: (document) => table.near([document]) };
}

/** The threshold that lets so large a share of all pairs through. */
function leastFor(share: number, queries: readonly Float32Array[], some: readonly Float32Array[]) {
  const way = exactWay(queries, -2);
  const scores = some.flatMap((document) => way.match(document).map(({ score }) => score));
  const descending = Float32Array.from(scores).toSorted().toReversed();
  return share === 0 ? 1.1 : (descending[Math.floor(share * descending.length)] ?? 1);
}

function measure({ match }: Way, texts: readonly Float32Array[]) {
  for (const document of texts.slice(0, 50)) match(document);
  const times: number[] = [];
  const answers: string[] = [];
  for (const document of texts) {
    const start = Bun.nanoseconds();
    const found = match(document);
    times.push((Bun.nanoseconds() - start) / 1e6);
    answers.push(
      found
        .map(({ row, score }) => `${row}:${score}`)
        .toSorted()
        .join(),
    );
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    Number((times[Math.floor(share * (times.length - 1))] ?? Number.NaN).toPrecision(3));
  return { ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), answers };
}

function vectorsOf(count: number): Float32Array[] {
  const all = clusteredVectors(count, DIMENSIONS, 20_260);
  return Array.from({ length: count }, (_, row) =>
    all.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS),
  );
}

const rows: Record<string, unknown>[] = [];
let missed = false;
for (const count of counts) {
  const all = vectorsOf(count + documents);
  const [queries, texts] = [all.slice(0, count), all.slice(count)];
  for (const share of SHARES) {
    const least = leastFor(share, queries, texts.slice(0, 10));
    const [exact, coded] = [exactWay, codedWay].map((make) => measure(make(queries, least), texts));
    if (exact === undefined || coded === undefined) throw new Error("there are two ways");
    const same = exact.answers.every((answer, index) => answer === coded.answers[index]);
    if (!same) throw new Error("the two ways find different queries");
    missed ||= coded.ms > (BARS_MS.get(count) ?? Infinity);
    const matches = exact.answers.reduce(
      (sum, one) => sum + (one === "" ? 0 : one.split(",").length),
      0,
    );
    for (const [way, { answers: _answers, ...times }] of Object.entries({ exact, coded })) {
      rows.push({ queries: count, matches: Math.round(matches / documents), way, ...times, same });
    }
  }
}
console.table(rows);
const result = {
  machine: machineFacts(),
  quick: values.quick,
  dimensions: DIMENSIONS,
  documents,
  rows,
};
if (missed) process.exitCode = 1;
if (values.json !== undefined) await Bun.write(values.json, `${JSON.stringify(result, null, 2)}\n`);
