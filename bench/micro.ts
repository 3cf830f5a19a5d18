/**
 * What each step of one search costs, in microseconds: the project's own parts called one after the other, as a request
 * calls them, with the real queries and passages of the test collections. `bun bench/micro.ts [--quick] [--json FILE]`
 */
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SearchSchema } from "../src/contract/search.ts";
import { queryEncoderModel, readModelFile } from "../src/embedding/model-files.ts";
import { openEmbedder } from "../src/embedding/open-embedder.ts";
import { openQueryEncoder } from "../src/embedding/query-encoder.ts";
import { createTokenizer } from "../src/embedding/tokenizer.ts";
import { readJson } from "../src/http/read-body.ts";
import { createAnalyser, type Analyser } from "../src/keyword/analyser.ts";
import { createKeywordIndex, type KeywordIndexRead } from "../src/keyword/keyword-index.ts";
import { createKeywordKind } from "../src/keyword/keyword-kind.ts";
import { parseKeywordQuery } from "../src/keyword/parse-query.ts";
import { limits } from "../src/limits.ts";
import { fuse, type Ranked } from "../src/search/fuse.ts";
import { RowSet } from "../src/segments/row-set.ts";
import { finishSteps } from "../src/segments/run-steps.ts";
import { LocalStore } from "../src/store/local/local-store.ts";
import type { ChunkHit, StoreRead } from "../src/store/store.ts";
import { LineSink } from "../src/telemetry/line-sink.ts";
import { configureLogging, getLogger, withLogContext } from "../src/telemetry/logs.ts";
import { searchParts, type VectorParts } from "../src/vectors/search-parts.ts";
import { createVectorKind } from "../src/vectors/vector-kind.ts";
import { readSets } from "./support/sets.ts";
import { cachedSegment } from "./support/vector-parts.ts";
import { machineFacts } from "./support/load-results.ts";

const SETS = ["cranfield", "cisi", "cosqa"];
const MODEL = "static-256";
/** Words of a passage: windows of other lengths are cut until there are enough. */
const PASSAGE_WORDS = [120, 90, 65, 45, 150, 75, 105, 35, 55];
/** Chunks that a search for documents asks each side for, and hits that it shows. */
const CANDIDATES = 200;
const SHOWN = 10;
/** Whole requests before anything counts: the compiler needs some thousands of calls. */
const WARM_REQUESTS = 3000;

const { values } = parseArgs({
  options: { json: { type: "string" }, quick: { type: "boolean", default: false } },
});
const passagesMax = values.quick ? 3000 : 30_000;
const rounds = values.quick ? 1 : 5;
/** Queries by the whole model, which takes milliseconds for each. */
const fullQueriesMax = values.quick ? 30 : 200;

const log = getLogger("http");

/** Microseconds by step, in the order in which a request comes to them. */
type Times = Map<string, number[]>;

function passagesOf(documents: readonly { title: string; text: string }[]): string[] {
  const passages: string[] = [];
  for (const size of PASSAGE_WORDS) {
    for (const { text } of documents) {
      const words = text.split(/\s+/);
      for (let start = 0; start < words.length; start += size) {
        if (start > 0 && words.length - start < size / 3) break;
        if (passages.length === passagesMax) return passages;
        passages.push(words.slice(start, start + size).join(" "));
      }
    }
  }
  return passages;
}

/** The passages as documents of one chunk; gives their chunks' keys in the same order. */
async function fillStore(store: LocalStore, passages: readonly string[]): Promise<number[]> {
  const { key } = await store.createCollection({
    name: "passages",
    model: MODEL,
    modelSha256: null,
    dimensions: small.info.dimensions,
    metric: "cosine",
    chunking: { strategy: "none", tokens_max: 256, tokens_overlap: 0 },
    fusion: { method: "weighted", weight: 0.5 },
    keyword: { language: "english", stop_words: true, title_weight: 1, text_weight: 1 },
    quantization: "f16",
  });
  const documents = passages.map((text, index) => {
    const chunks = [{ start: 0, end: text.length, heading: null }];
    return { id: `passage-${index}`, title: null, text, metadata: { page: index }, chunks };
  });
  const slice = limits.documentsPerTransactionMax;
  for (let start = 0; start < documents.length; start += slice) {
    await store.writeDocuments(key, documents.slice(start, start + slice));
  }
  return store.indexedKeys(key, { what: "text", after: 0, limit: passages.length });
}

/** One sealed segment of the passages' vectors. */
async function openVectors(
  folder: string,
  { keys, passages }: { keys: readonly number[]; passages: readonly string[] },
): Promise<VectorParts> {
  const { dimensions } = small.info;
  const vectors = new Float32Array(keys.length * dimensions);
  for (const [row, vector] of (await small.embed(passages)).entries()) {
    if (vector !== undefined) vectors.set(vector, row * dimensions);
  }
  const kind = await createVectorKind({ dimensions, engine: "usearch" });
  const rows = () => ({ dimensions, keys, vectors });
  const { files } = cachedSegment(folder, kind, { name: "passages", rows });
  const sealed = [{ segment: kind.open(files), dead: new RowSet(keys.length) }];
  return { sealed, frozen: [], active: kind.createDelta() };
}

/** One sealed segment of the passages' words. */
function openWords(
  folder: string,
  { keys, passages }: { keys: readonly number[]; passages: readonly string[] },
): KeywordIndexRead {
  const kind = createKeywordKind(analyser);
  const delta = kind.createDelta();
  for (const [row, key] of keys.entries())
    delta.add(key, { title: null, text: passages[row] ?? "" });
  const files = finishSteps(delta.dump(mkdtempSync(join(folder, "words-"))));
  const sealed = [{ segment: kind.open(files), dead: new RowSet(keys.length) }];
  const parts = { sealed, frozen: [], active: kind.createDelta() };
  return createKeywordIndex(() => parts);
}

/** What a request goes through, each step timed. */
function createStopwatch(times: Times) {
  const note = (name: string, start: number): void => {
    const us = (Bun.nanoseconds() - start) / 1000;
    const samples = times.get(name) ?? [];
    samples.push(us);
    times.set(name, samples);
  };
  const time = <T>(name: string, step: () => T): T => {
    const start = Bun.nanoseconds();
    const value = step();
    note(name, start);
    return value;
  };
  const wait = async <T>(name: string, step: () => Promise<T>): Promise<T> => {
    const start = Bun.nanoseconds();
    const value = await step();
    note(name, start);
    return value;
  };
  return { time, wait };
}

interface Parts {
  store: StoreRead;
  vectors: VectorParts;
  words: KeywordIndexRead;
}

/** One search from its body to the answer's, step by step. */
async function request({ store, vectors, words }: Parts, text: string, times: Times) {
  const { time, wait } = createStopwatch(times);
  const sent = new Request("http://bench/api/v1/collections/passages/search", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: text, k: SHOWN }),
  });
  time("request id and log context", () =>
    withLogContext({ request_id: crypto.randomUUID() }, () => undefined),
  );
  const body = await wait("read and parse the body", () => readJson(sent));
  if (!time("validate", () => checkSearch.Check(body))) throw new Error("the body is a search");
  const query = time("plan: read the words", () =>
    parseKeywordQuery(text, { analyser, termsMax: limits.keywordTermsMax }),
  );
  time("tokenise", () => tokenizer.firstTokens(text));
  time("embed: fast query encoder", () => fast.embed(text));
  const [vector] = await wait("embed: static-256", () => small.embed([text]));
  if (vector === undefined) return;
  const near = time(`vector search, k ${CANDIDATES}`, () =>
    searchParts(vectors, { vector, k: CANDIDATES }),
  );
  const found = time(`keyword search, k ${CANDIDATES}`, () =>
    words.search({ query, k: CANDIDATES }),
  );
  const semantic = await wait("documents of the vectors' chunks", () => unitsOf(store, near));
  const keyword = await wait("documents of the words' chunks", () => unitsOf(store, found));
  const sides = { semantic: semantic.slice(0, 100), keyword: keyword.slice(0, 100) };
  const fused = time("fuse", () => fuse(sides, { method: "weighted", weight: 0.5 }));
  const page = fused.slice(0, SHOWN);
  const chunks = await wait(`hydrate ${SHOWN} documents`, () =>
    store.hits(page.map(({ chunkKey }) => chunkKey)),
  );
  time("JSON out", () => JSON.stringify(answerOf(page, chunks)));
  withLogContext({ request_id: crypto.randomUUID() }, () =>
    time("log line", () =>
      log.info("request_completed", {
        method: "POST",
        path: "/",
        status_code: 200,
        duration_ms: 1,
      }),
    ),
  );
}

async function unitsOf(
  store: StoreRead,
  found: readonly { key: number; score: number }[],
): Promise<Ranked[]> {
  const documents = await store.documentsOfChunks(found.map(({ key }) => key));
  return found.map(({ key, score }) => ({ unit: documents.get(key) ?? 0, chunkKey: key, score }));
}

function answerOf(
  page: readonly { chunkKey: number; score: number }[],
  chunks: ReadonlyMap<number, ChunkHit>,
) {
  const hits = page.map(({ chunkKey, score }) => {
    const { id, title, text, metadata } = chunks.get(chunkKey) ?? {};
    return { id, score, title, text, highlights: [], metadata };
  });
  return { hits, took_ms: 1, model: MODEL, sequence: 1 };
}

/** Middle and quartiles, in microseconds. */
function rowOf(step: string, times: readonly number[]) {
  const ascending = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Number((ascending[Math.floor(share * (ascending.length - 1))] ?? Number.NaN).toPrecision(3));
  return { step, us: at(0.5), p25: at(0.25), p75: at(0.75) };
}

async function measure(parts: Parts, queries: readonly string[]): Promise<Times> {
  const warming: Times = new Map();
  for (let count = 0; count < WARM_REQUESTS; count++) {
    await request(parts, queries[count % queries.length] ?? "", warming);
  }
  const times: Times = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const text of queries) await request(parts, text, times);
  }
  await using full = await openEmbedder(queryEncoderModel.info.name);
  const { wait } = createStopwatch(times);
  for (const text of queries.slice(0, fullQueriesMax)) {
    await wait("embed: all-MiniLM-L6-v2", () => full.embed([text]));
  }
  return times;
}

const sets = await readSets(SETS);
if (sets.length === 0) process.exit(0);
const queries = sets.flatMap((set) => set.queries.map(({ text }) => text));
const passages = passagesOf(sets.flatMap(({ documents }) => documents));
const checkSearch = TypeCompiler.Compile(SearchSchema);
const analyser: Analyser = await createAnalyser("english");
await using small = await openEmbedder(MODEL);
const fast = await openQueryEncoder();
const { info, tokenizer: tokenizerFile } = queryEncoderModel;
const tokenizer = createTokenizer(await readModelFile(tokenizerFile), info.tokensMax);
const folder = mkdtempSync(join(tmpdir(), "slipstream-bench-"));
try {
  await using sink = new LineSink(openSync(devNull, "w"));
  const logging = { environment: "production", logFormat: "json", logLevel: "info" } as const;
  await configureLogging(logging, sink);
  await using store = await LocalStore.open(join(folder, "data"), { fts5: false });
  console.log(`storing and indexing ${passages.length} passages: under a minute`);
  const keys = await fillStore(store, passages);
  const vectors = await openVectors(folder, { keys, passages });
  const parts = { store, vectors, words: openWords(folder, { keys, passages }) };
  const times = await measure(parts, queries);
  const steps = [...times].map(([step, each]) => rowOf(step, each));
  console.table(steps);
  const result = {
    machine: machineFacts(),
    quick: values.quick,
    passages: passages.length,
    dimensions: small.info.dimensions,
    queries: queries.length,
    rounds,
    steps,
  };
  if (values.json !== undefined)
    await Bun.write(values.json, `${JSON.stringify(result, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
