/**
 * Time from the start of the process to the first search answer over HTTP, with 1,400 documents stored, for the binary
 * and from source, with each model: `bun bench/start.ts [--binary dist/slipstream]`
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { distinctDocuments, seededRandom } from "../test/e2e/distinct-documents.ts";
import { FROM_SOURCE, logged, startServerProgram } from "../test/support/process.ts";
import { median } from "./support/median.ts";
import { callJson, post, startServer } from "./support/server.ts";
import { readSet, sharedFolder } from "./support/sets.ts";
import { machineFacts } from "./support/load-results.ts";

const MODELS = ["all-MiniLM-L6-v2", "static-256"];
const DOCUMENTS = 1400;
const STARTS = 7;
const SEED = 1400;
/** What a start of the binary must stay below. */
const TARGET_MS = 1000;
const RESULTS = "bench/results/start.json";

interface Corpus {
  name: string;
  documents: readonly { id: string; text: string }[];
  query: string;
}

/** Milliseconds of one start, the whole and its parts; the parts are as the program's own log has them. */
interface Start {
  answer_ms: number;
  /** Until the program's first own line: the runtime and the modules. */
  runtime_ms: number;
  /** The store, and every vector into its index. */
  open_ms: number;
  /** Loading the query's model, a part of the first search. */
  model_ms: number;
}

async function readCorpus(): Promise<Corpus> {
  const set = await readSet("cranfield");
  if (set !== undefined) {
    return { name: "Cranfield", documents: set.documents, query: set.queries[0]?.text ?? "" };
  }
  console.log(`There is no ${sharedFolder}/sets/cranfield, so the documents are made up.`);
  const make = distinctDocuments(seededRandom(SEED));
  const documents = Array.from({ length: DOCUMENTS }, (_, index) => make(`d${index}`));
  return { name: `made up, seed ${SEED}`, documents, query: documents[0]?.text ?? "" };
}

async function fill(dataDir: string, model: string, { documents }: Corpus): Promise<void> {
  await using server = await startServer({ dataDir });
  const collections = `${server.url}/api/v1/collections`;
  await callJson(collections, post({ name: "documents", model }));
  for (let start = 0; start < documents.length; start += 1000) {
    const slice = documents.slice(start, start + 1000);
    const path = "/documents/documents?wait=indexed";
    const answer = await callJson(collections + path, post({ documents: slice }));
    const expected = { upserted: slice.length, pending_embeddings: 0 };
    if (!Bun.deepMatch(expected, answer)) throw new Error(`not stored: ${JSON.stringify(answer)}`);
  }
}

async function startOnce(
  command: readonly string[],
  dataDir: string,
  query: string,
): Promise<Start> {
  const startedAt = Date.now();
  const start = performance.now();
  const env = { HOME: process.env["HOME"] ?? tmpdir(), APP_ENVIRONMENT: "production" };
  await using server = await startServerProgram(dataDir, { cwd: dataDir, command, env });
  const search = `${server.url}/api/v1/collections/documents/search`;
  const answer = await callJson(search, post({ query }));
  const answer_ms = performance.now() - start;
  if (!/"hits":\[\{/.test(JSON.stringify(answer))) throw new Error("the search found nothing");
  const starting = timeOf(await logged(server, "app.starting"));
  const started = timeOf(await logged(server, "app.started"));
  const model_ms = Number((await logged(server, "model.ready"))["duration_ms"]);
  return { answer_ms, runtime_ms: starting - startedAt, open_ms: started - starting, model_ms };
}

function timeOf(line: Record<string, unknown>): number {
  return Date.parse(String(line["timestamp"]));
}

const roundedMedian = (values: readonly number[]): number => Math.round(median(values));

/** The medians of several starts; one before them, which is not counted, warms the caches. */
async function measure(command: readonly string[], dataDir: string, query: string) {
  await startOnce(command, dataDir, query);
  const starts: Start[] = [];
  for (let index = 0; index < STARTS; index++) {
    starts.push(await startOnce(command, dataDir, query));
  }
  const answers = starts.map((one) => one.answer_ms);
  return {
    answer_ms: roundedMedian(answers),
    min_ms: Math.round(Math.min(...answers)),
    max_ms: Math.round(Math.max(...answers)),
    runtime_ms: roundedMedian(starts.map((one) => one.runtime_ms)),
    open_ms: roundedMedian(starts.map((one) => one.open_ms)),
    model_ms: roundedMedian(starts.map((one) => one.model_ms)),
  };
}

const { values } = parseArgs({
  options: { binary: { type: "string", default: "dist/slipstream" } },
});
const programs = [
  { program: "binary", command: [resolve(values.binary)] },
  { program: "source", command: FROM_SOURCE },
];
if (!existsSync(values.binary)) {
  console.log(`There is no ${values.binary}: bun run build makes it. Only the source is measured.`);
  programs.shift();
}
const corpus = await readCorpus();
const rows = [];
for (const model of MODELS) {
  const dataDir = mkdtempSync(join(tmpdir(), "slipstream-bench-"));
  try {
    await fill(dataDir, model, corpus);
    for (const { program, command } of programs) {
      rows.push({ program, model, ...(await measure(command, dataDir, corpus.query)) });
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}
console.log(`${corpus.documents.length} documents (${corpus.name}), medians of ${STARTS} starts`);
console.table(rows);
const machine = machineFacts();
const { name, documents } = corpus;
const result = { machine, corpus: name, documents: documents.length, starts: STARTS, rows };
await Bun.write(RESULTS, `${JSON.stringify(result, null, 2)}\n`);
const slow = rows.filter((row) => row.program === "binary" && row.answer_ms >= TARGET_MS);
console.log(
  slow.length === 0 ? `below ${TARGET_MS} ms` : `${slow.length} not below ${TARGET_MS} ms`,
);
process.exitCode = slow.length === 0 ? 0 : 1;
