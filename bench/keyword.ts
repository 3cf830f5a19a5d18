/**
 * Our keyword index against FTS5 on passages of real texts: time of a ranked search for 3 to 8 words, agreement of the
 * ten best, build time, size, and nDCG@10 of both on the test collections. `bun bench/keyword.ts [--json FILE]`
 */
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createAnalyser } from "../src/keyword/analyser.ts";
import type { KeywordMatch } from "../src/keyword/best-matches.ts";
import { createKeywordIndex, type KeywordIndexRead } from "../src/keyword/keyword-index.ts";
import { createKeywordKind } from "../src/keyword/keyword-kind.ts";
import { parseKeywordQuery } from "../src/keyword/parse-query.ts";
import { stopWords } from "../src/keyword/stop-words.ts";
import { limits } from "../src/limits.ts";
import { RowSet } from "../src/segments/row-set.ts";
import type { Steps } from "../src/segments/segment-kind.ts";
import { median } from "./support/median.ts";
import { measureRanking, readSets, type RetrievalSet } from "./support/sets.ts";
import { machineFacts } from "./support/load-results.ts";

const SETS = ["cranfield", "cisi", "cosqa"];
const PASSAGES = 30_000;
const QUERIES = 300;
const ROUNDS = 7;
const WARM_ROUNDS = 20;
const SEED = 30_000;
/** Words of a passage: windows of other lengths are cut until there are enough. */
const PASSAGE_WORDS = [120, 90, 65, 45, 150, 75, 105, 35, 55];

/** What a change must not miss. */
const FLOORS = { speedup: 15, overlap: 0.95, ndcgDifference: 0.5, typoMsMax: 5 };

interface Passage {
  title: string;
  text: string;
}

interface Engine {
  search(words: readonly string[]): KeywordMatch[];
}

const analyser = await createAnalyser("english");
const kind = createKeywordKind(analyser);

function passagesOf(sets: readonly RetrievalSet[]): Passage[] {
  const documents = sets.flatMap((set) => set.documents);
  const passages: Passage[] = [];
  for (const size of PASSAGE_WORDS) {
    for (const { title, text } of documents) {
      const words = text.split(/\s+/);
      for (let start = 0; start < words.length; start += size) {
        if (start > 0 && words.length - start < size / 3) break;
        if (passages.length === PASSAGES) return passages;
        passages.push({ title, text: words.slice(start, start + size).join(" ") });
      }
    }
  }
  return passages;
}

/** Queries of 3 to 8 words in a row, stop words left out, from those that people asked. */
function queriesOf(sets: readonly RetrievalSet[], random: (max: number) => number): string[][] {
  const stop = stopWords("english");
  const asked = sets.flatMap((set) => set.queries.map(({ text }) => text));
  const queries: string[][] = [];
  while (queries.length < QUERIES) {
    const words = asked[random(asked.length)]?.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];
    const telling = [...new Set(words.filter((word) => !stop.has(word)))];
    const size = 3 + random(6);
    if (telling.length < size) continue;
    const start = random(telling.length - size + 1);
    queries.push(telling.slice(start, start + size));
  }
  return queries;
}

function seededRandom(seed: number): (max: number) => number {
  let state = seed;
  return (max) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * max);
  };
}

function run<T>(steps: Steps<T>): { value: T; longestStepMs: number } {
  for (let longestStepMs = 0; ;) {
    const start = performance.now();
    const { done, value } = steps.next();
    longestStepMs = Math.max(longestStepMs, performance.now() - start);
    if (done === true) return { value, longestStepMs };
  }
}

/** A sealed segment of the passages, and what making it took. */
function buildOurs(passages: readonly Passage[], folder: string) {
  const start = performance.now();
  const delta = kind.createDelta();
  for (const [index, passage] of passages.entries()) delta.add(index + 1, passage);
  const filled = performance.now();
  const { value: files, longestStepMs } = run(delta.dump(mkdtempSync(join(folder, "ours-"))));
  const sealed = performance.now();
  const rows = passages.length;
  const source = { files, rows, dead: new Uint8Array(0) };
  const job = { kind: kind.name, facts: kind.facts, sources: [source] };
  const merge = run(kind.build({ ...job, folder: mkdtempSync(join(folder, "merged-")) }));
  const merged = performance.now();
  const segment = kind.open(merge.value.files);
  const active = kind.createDelta();
  const parts = { sealed: [{ segment, dead: new RowSet(rows) }], frozen: [], active };
  return {
    index: createKeywordIndex(() => parts),
    terms: segment.dictionary.terms,
    fillMs: filled - start,
    dumpMs: sealed - filled,
    mergeMs: merged - sealed,
    longestStepMs: Math.max(longestStepMs, merge.longestStepMs),
    deltaBytes: delta.bytes,
    bytes: statSync(files["postings"] ?? "").size,
  };
}

function searcher(index: KeywordIndexRead): Engine {
  return {
    search(words) {
      const options = { analyser, termsMax: limits.keywordTermsMax };
      return index.search({ query: parseKeywordQuery(words.join(" "), options), k: 10 });
    },
  };
}

/** FTS5 without content, as small and quick as it gets: optimized into one segment. */
function buildFts(passages: readonly Passage[], folder: string) {
  const path = join(mkdtempSync(join(folder, "fts-")), "fts.db");
  const start = performance.now();
  const db = new Database(path);
  db.run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000");
  db.run(`CREATE VIRTUAL TABLE texts USING fts5(title, text, content = '',
    tokenize = "porter unicode61 remove_diacritics 2")`);
  const insert = db.prepare("INSERT INTO texts (rowid, title, text) VALUES (?, ?, ?)");
  db.transaction(() => {
    for (const [index, { title, text }] of passages.entries()) insert.run(index + 1, title, text);
  })();
  db.run("INSERT INTO texts (texts) VALUES ('optimize')");
  const ms = performance.now() - start;
  const select = db.prepare<KeywordMatch, [string]>(
    "SELECT rowid AS key, -rank AS score FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT 10",
  );
  const search = (words: readonly string[]): KeywordMatch[] =>
    select.all(words.map((word) => `"${word}"`).join(" OR "));
  return { search, ms, bytes: statSync(path).size, close: () => db.close() };
}

function timeOf(engine: Engine, words: readonly string[]): number {
  const start = performance.now();
  engine.search(words);
  return (performance.now() - start) * 1000;
}

/** Medians over the queries of each query's median over the rounds, in microseconds; the two take turns. */
function compareSpeed(ours: Engine, theirs: Engine, queries: readonly (readonly string[])[]) {
  // A server runs for days: both are compiled and have their pages before anything counts.
  for (const words of queries) theirs.search(words);
  for (let round = 0; round < WARM_ROUNDS; round++) for (const words of queries) ours.search(words);
  const times = queries.map(() => ({ ours: [] as number[], fts: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, words] of queries.entries()) {
      const order = (round + index) % 2 === 0;
      if (order) times[index]?.ours.push(timeOf(ours, words));
      times[index]?.fts.push(timeOf(theirs, words));
      if (!order) times[index]?.ours.push(timeOf(ours, words));
    }
  }
  const each = times.map((one) => ({ ours: median(one.ours), fts: median(one.fts) }));
  return {
    oursUs: round1(median(each.map((one) => one.ours))),
    ftsUs: round1(median(each.map((one) => one.fts))),
    oursP99Us: round1(percentile99(each.map((one) => one.ours))),
    ftsP99Us: round1(percentile99(each.map((one) => one.fts))),
    speedup: round1(median(each.map(({ ours: us, fts }) => fts / us))),
  };
}

function percentile99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0;
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Share of FTS5's ten best that ours has among its own; at a tie for the last place either is right. */
function overlapOf(ours: Engine, theirs: Engine, queries: readonly (readonly string[])[]): number {
  let shared = 0;
  let all = 0;
  for (const words of queries) {
    const found = new Set(ours.search(words).map(({ key }) => key));
    const best = theirs.search(words);
    all += best.length;
    shared += best.filter(({ key }) => found.has(key)).length;
  }
  return Math.round((shared / all) * 10_000) / 10_000;
}

/** nDCG@10 in per cent of each engine's ranking of a set's documents. */
function quality(set: RetrievalSet, folder: string) {
  const { index } = buildOurs(set.documents, folder);
  const fts = buildFts(set.documents, folder);
  const stop = stopWords("english");
  const total = { ours: 0, fts: 0, queries: 0 };
  const gain = (matches: readonly KeywordMatch[], judged: ReadonlyMap<string, number>): number =>
    measureRanking(
      matches.map(({ key }) => set.documents[key - 1]?.id ?? ""),
      judged,
    ).ndcg;
  for (const { id, text } of set.queries) {
    const judged = set.judgements.get(id);
    if (judged === undefined) continue;
    const words = new Set(text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? []);
    const telling = [...words].filter((word) => !stop.has(word));
    const asked = (telling.length > 0 ? telling : [...words]).slice(0, limits.keywordTermsMax);
    // Both rank by words alone; a quotation in a question is no phrase to FTS5 here, so it is none to ours.
    total.ours += gain(searcher(index).search([text.replaceAll(/["“”„]/g, " ")]), judged);
    total.fts += asked.length === 0 ? 0 : gain(fts.search(asked), judged);
    total.queries++;
  }
  fts.close();
  const percent = (sum: number): number => Math.round((sum / total.queries) * 10_000) / 100;
  return { set: set.name, ours: percent(total.ours), fts: percent(total.fts) };
}

/** The slowest look-up of a misspelt word in a dictionary of 100,000 words, in milliseconds. */
function measureTypos(random: (max: number) => number, folder: string) {
  const syllables =
    "ba co di fu ga he li mo nu pa re si ta vo we an en in on un ar er or st tion".split(" ");
  const words = new Set<string>();
  while (words.size < 100_000) {
    let word = "";
    for (let left = 2 + random(4); left > 0; left--)
      word += syllables[random(syllables.length)] ?? "";
    words.add(word);
  }
  const all = [...words];
  const texts = Array.from({ length: 1000 }, (_, index) => ({
    title: "",
    text: all.slice(index * 100, index * 100 + 100).join(" "),
  }));
  const { index, terms } = buildOurs(texts, folder);
  const times = Array.from({ length: 200 }, () => {
    const word = all[random(all.length)] ?? "";
    const at = 1 + random(Math.max(1, word.length - 1));
    const form = `${word.slice(0, at)}z${word.slice(at + 1)}`;
    const samples = [0, 1, 2].map(() => {
      const start = performance.now();
      index.expand({ form, distance: word.length >= 8 ? 2 : 1 });
      return performance.now() - start;
    });
    return median(samples);
  });
  return { terms, medianMs: median(times), maxMs: Math.max(...times) };
}

const { values } = parseArgs({ options: { json: { type: "string" } } });
const sets = await readSets(SETS);
if (sets.length === 0) process.exit(0);
const folder = mkdtempSync(join(tmpdir(), "slipstream-bench-"));
try {
  const random = seededRandom(SEED);
  const passages = passagesOf(sets);
  const queries = queriesOf(sets, random);
  const ours = buildOurs(passages, folder);
  const fts = buildFts(passages, folder);
  const engine = searcher(ours.index);
  const speed = compareSpeed(engine, fts, queries);
  const overlap = overlapOf(engine, fts, queries);
  fts.close();
  const ndcg = sets.map((set) => quality(set, folder));
  const typos = measureTypos(random, folder);
  const { index, ...build } = ours;
  const rounded = Object.fromEntries(
    Object.entries(build).map(([name, value]) => [name, round1(value)]),
  );
  const result = {
    machine: machineFacts(),
    passages: index.size,
    queries: queries.length,
    rounds: ROUNDS,
    speed,
    overlap,
    build: { ours: rounded, fts: { buildMs: round1(fts.ms), bytes: fts.bytes } },
    ndcg10: ndcg,
    typos: { ...typos, medianMs: round1(typos.medianMs), maxMs: round1(typos.maxMs) },
    floors: FLOORS,
  };
  console.log(JSON.stringify(result, null, 2));
  console.table(ndcg);
  if (values.json !== undefined)
    await Bun.write(values.json, `${JSON.stringify(result, null, 2)}\n`);
  const missed = [
    ...(speed.speedup < FLOORS.speedup ? [`speedup ${speed.speedup}`] : []),
    ...(overlap < FLOORS.overlap ? [`overlap ${overlap}`] : []),
    ...ndcg
      .filter((row) => Math.abs(row.ours - row.fts) > FLOORS.ndcgDifference)
      .map((row) => `nDCG of ${row.set}`),
    ...(typos.medianMs > FLOORS.typoMsMax ? [`typos ${typos.medianMs} ms`] : []),
  ];
  console.log(missed.length === 0 ? "every floor is held" : `missed: ${missed.join(", ")}`);
  process.exitCode = missed.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
