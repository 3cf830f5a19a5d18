/**
 * The same work through this program and through what a user would pick instead, each by the interface that its users
 * call. `bench/peers/install.sh` first. `bun bench/peers/run.ts [--quick] [--install FOLDER] [--only NAME]... [--no-text] [--passages N]`
 */
import { existsSync, mkdtempSync, chmodSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LoadGenerator } from "../support/load.ts";
import { measureCeiling } from "../support/load-ceiling.ts";
import { describeMachine, keepPart, rounded } from "../support/load-results.ts";
import { compareText } from "./compare-text.ts";
import { compareVectors } from "./compare-vectors.ts";
import { RESULTS, type PeersResult } from "./results.ts";
import { textTable, vectorTable } from "./table.ts";
import { DIMENSIONS } from "./vectors.ts";

/** A run that takes longer than this hangs. */
const RUN_MS_MAX = 60 * 60_000;
/** Rows of less recall than this do not compare. */
const RECALL_MIN = 0.99;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    install: { type: "string", default: join(tmpdir(), "slipstream-peers") },
    cache: { type: "string", default: join(tmpdir(), "slipstream-bench-peers") },
    binary: { type: "string" },
    passages: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    "no-text": { type: "boolean", default: false },
    json: { type: "string", default: RESULTS },
  },
});
const { install, cache, binary, only } = values;
if (!existsSync(join(install, "weights"))) {
  console.error(`Nothing is installed in ${install}: run bench/peers/install.sh ${install} first.`);
  process.exit(2);
}
// Chroma fills every text up to 256 tokens, so each takes it a tenth of a second and more.
const size = values.quick
  ? { count: 5000, passages: 500, rounds: 3, seconds: 0.5 }
  : { count: 100_000, passages: 2000, rounds: 3, seconds: 2 };
if (values.passages !== undefined) size.passages = Number(values.passages);
setTimeout(() => {
  console.error(`not done after ${RUN_MS_MAX / 60_000} minutes`);
  process.exit(1);
}, RUN_MS_MAX).unref();
const started = performance.now();
const machine = describeMachine();
const folder = mkdtempSync(join(tmpdir(), "slipstream-bench-peers-"));
// Postgres runs as another user and must come to its own folder.
chmodSync(folder, 0o755);
// However it ends: an interrupted run goes through no `finally`.
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

await using generator = LoadGenerator.start();
const { c1 } = await measureCeiling(generator, 1);
const options = { generator, install, cache, folder, binary, only, ...size };
const rows = await compareVectors(options);
console.log(vectorTable(rows));
const text = values["no-text"] ? null : await compareText(options);
if (text !== null) console.log(textTable(text.rows));
const result: PeersResult = {
  machine,
  count: size.count,
  dimensions: DIMENSIONS,
  rounds: size.rounds,
  http_c1_p50_ms: rounded(c1.p50Us / 1000, 3),
  rows,
  text,
};
// A part of the systems is a look and no result.
if (only.length === 0) await keepPart(values.json, values.quick, result);
console.log(`${Math.round((performance.now() - started) / 1000)} s`);
const low = rows.filter(({ recall10 }) => recall10 < RECALL_MIN);
for (const { name, recall10 } of low) console.log(`${name}: recall ${recall10} is too low`);
process.exitCode = low.length === 0 ? 0 : 1;
