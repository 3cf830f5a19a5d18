/**
 * Runs the quick benches again and compares their ratios with the last committed ones; fails where one is worse by more
 * than 15 %. Absolute times drift with the machine and are not compared. `bun bench/check.ts [--only NAME]... [--all]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** What a ratio may lose before it counts as worse, in itself. */
const WORSE_MAX = 0.15;
/** A ratio that seems worse is taken again, as other work on the machine comes and goes; its best value counts. */
const RUNS_MAX = 3;

interface Ratio {
  /** Keys on the way to it; a row of a list is found by its `name`. */
  path: readonly string[];
  better: "higher" | "lower";
  /** A value as good as this is never worse: a few µs more of almost nothing are a large share of it. */
  enough?: number;
}

interface Bench {
  name: string;
  args: readonly string[];
  /** Part of the result file whose ratios compare with a run by these arguments; the whole file where there are no parts. */
  part?: "quick";
  /** Takes minutes, and is left out unless `--all` or its name is given. */
  slow?: true;
  ratios: readonly Ratio[];
}

const higher = (...path: string[]): Ratio => ({ path, better: "higher" });
const lower = (...path: string[]): Ratio => ({ path, better: "lower" });
/** Of a wait that searches in children take away almost whole. */
const ENOUGH_WAIT = 0.1;
/** The two are timed in blocks and use the memory differently: the same code gave 77 to 121 as other work came and went. */
const ENOUGH_SPEEDUP = 70;

const BENCHES: readonly Bench[] = [
  {
    name: "http",
    args: ["--quick"],
    part: "quick",
    ratios: [
      higher("vectors", "recall10"),
      higher("vectors", "c1", "throughput_in_bare"),
      higher("vectors", "c16", "throughput_in_bare"),
      higher("text", "ratios", "engines_auto_in_0_c16", "throughput"),
      { ...lower("text", "ratios", "engines_auto_in_0_c16", "live_p50"), enough: ENOUGH_WAIT },
      higher("text", "ratios", "engines_2_in_0_c16", "throughput"),
      { ...lower("text", "ratios", "engines_2_in_0_c16", "live_p50"), enough: ENOUGH_WAIT },
    ],
  },
  {
    name: "writes",
    args: ["--quick"],
    part: "quick",
    ratios: [higher("grouped_in_single")],
  },
  {
    name: "embedding",
    args: [],
    ratios: [
      lower("embedOverRaw", "ratio", "median"),
      lower("callOfDuplicatesWithCacheOverWithout", "ratio", "median"),
      { ...higher("ratios", "fullOverFast"), enough: ENOUGH_SPEEDUP },
      higher("ratios", "libraryOverTokens"),
    ],
  },
  {
    name: "keyword",
    args: [],
    ratios: [higher("speed", "speedup"), higher("overlap")],
  },
  {
    name: "vectors",
    args: [],
    slow: true,
    ratios: [
      lower("rows", "one segment", "ratio"),
      lower("rows", "0.1 % allowed, SortedKeys", "ratio"),
      lower("rows", "1 % allowed, SortedKeys", "ratio"),
      lower("rows", "10 % allowed, SortedKeys", "ratio"),
      lower("rows", "50 % allowed, SortedKeys", "ratio"),
    ],
  },
];

interface Row {
  bench: string;
  ratio: string;
  committed: number | undefined;
  now: number | undefined;
  worse_percent: number;
  verdict: "as good" | "worse" | "not measured" | "new";
}

/** The value at a path, where there is a number. */
function numberAt(value: unknown, path: readonly string[]): number | undefined {
  let at = value;
  for (const key of path) {
    if (typeof at !== "object" || at === null) return undefined;
    const named: unknown = Array.isArray(at)
      ? at.find((one: { name?: unknown }) => one.name === key)
      : Object.entries(at).find(([name]) => name === key)?.[1];
    at = named;
  }
  return typeof at === "number" ? at : undefined;
}

/** The result file as it was last committed, or as it lies there where this is no checkout. */
async function committed(name: string): Promise<unknown> {
  const path = `bench/results/${name}.json`;
  const shown = await Bun.$`git show ${`HEAD:${path}`}`.quiet().nothrow();
  if (shown.exitCode === 0) return JSON.parse(shown.stdout.toString());
  const file = Bun.file(path);
  return (await file.exists()) ? file.json() : {};
}

/** Runs a bench; gives its result, or an empty one where it wrote none. */
async function run({ name, args }: Bench, folder: string): Promise<unknown> {
  const json = join(folder, `${name}.json`);
  rmSync(json, { force: true });
  const start = performance.now();
  const command = [process.execPath, `bench/${name}.ts`, ...args, "--json", json];
  const child = Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
  const output = await new Response(child.stdout).text();
  await child.exited;
  const last = output.trim().split("\n").at(-1) ?? "";
  console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s, ${last}`);
  const file = Bun.file(json);
  return (await file.exists()) ? file.json() : {};
}

/** Share by which a value is worse than it was; negative where it is better. */
function worseBy({ better, enough }: Ratio, before: number, now: number): number {
  if (enough !== undefined && (better === "higher" ? now >= enough : now <= enough)) return 0;
  return better === "higher" ? 1 - now / before : now / before - 1;
}

function compare(bench: Bench, before: unknown, results: readonly unknown[]): Row[] {
  const prefix = bench.part === undefined ? [] : [bench.part];
  return bench.ratios.map((ratio) => {
    const path = [...prefix, ...ratio.path];
    const values = results.flatMap((result) => numberAt(result, path) ?? []);
    const sorted = values.toSorted((a, b) => (ratio.better === "higher" ? b - a : a - b));
    const [was, now] = [numberAt(before, path), sorted[0]];
    const worse = was === undefined || now === undefined ? 0 : worseBy(ratio, was, now);
    let verdict: Row["verdict"] = worse > WORSE_MAX ? "worse" : "as good";
    if (was === undefined) verdict = "new";
    if (now === undefined) verdict = "not measured";
    return {
      bench: bench.name,
      ratio: `${ratio.path.join(" / ")} (${ratio.better} is better)`,
      committed: was,
      now,
      worse_percent: Math.round(worse * 1000) / 10,
      verdict,
    };
  });
}

/** Runs a bench until none of its ratios is worse, or often enough. */
async function check(bench: Bench, folder: string): Promise<Row[]> {
  const before = await committed(bench.name);
  const results: unknown[] = [];
  for (;;) {
    results.push(await run(bench, folder));
    const rows = compare(bench, before, results);
    const isWorse = rows.some(({ verdict }) => verdict === "worse");
    if (!isWorse || results.length === RUNS_MAX) return rows;
  }
}

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    all: { type: "boolean", default: false },
  },
});
const chosen = BENCHES.filter(({ name, slow }) =>
  values.only.length > 0 ? values.only.includes(name) : values.all || slow !== true,
);
const folder = mkdtempSync(join(tmpdir(), "slipstream-bench-check-"));
try {
  const rows: Row[] = [];
  for (const bench of chosen) rows.push(...(await check(bench, folder)));
  console.table(rows);
  const failed = rows.filter(({ verdict }) => verdict === "worse" || verdict === "not measured");
  const allowed = `${WORSE_MAX * 100} %`;
  console.log(
    failed.length === 0
      ? `no ratio is worse by more than ${allowed}`
      : `${failed.length} of ${rows.length} ratios are worse by more than ${allowed}, or were not measured`,
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
