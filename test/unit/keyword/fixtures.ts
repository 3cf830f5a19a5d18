import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KeywordParts } from "../../../src/keyword/keyword-index.ts";
import type { KeywordText } from "../../../src/keyword/keyword-delta.ts";
import type { KeywordKind } from "../../../src/keyword/keyword-kind.ts";
import { RowSet } from "../../../src/segments/row-set.ts";
import type { BuildSource, Steps } from "../../../src/segments/segment-kind.ts";

/** Chunk key -> what is indexed of it. */
export type Corpus = ReadonlyMap<number, KeywordText>;

/** A folder that is deleted after use. */
export interface TestFolder extends Disposable {
  path: string;
  /** A fresh folder in it. */
  fresh(): string;
}

export function testFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), "slipstream-keyword-"));
  return {
    path,
    fresh: () => mkdtempSync(join(path, "segment-")),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Runs background work to its end. */
export function run<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** A delta with every chunk. */
export function deltaOf(kind: KeywordKind, corpus: Corpus) {
  const delta = kind.createDelta();
  for (const [key, text] of corpus) delta.add(key, text);
  return delta;
}

/** The corpus as a file, with dead rows for the keys given. */
export function sourceOf(
  kind: KeywordKind,
  { corpus, folder, dead = [] }: { corpus: Corpus; folder: string; dead?: Iterable<number> },
): BuildSource {
  const files = run(deltaOf(kind, corpus).dump(folder));
  const segment = kind.open(files);
  const bits = new RowSet(segment.rows);
  for (const key of dead) bits.add(segment.rowOf(key));
  segment.close();
  return { files, dead: bits.bits, rows: corpus.size };
}

/** A sealed part over a file. */
export function sealedOf(kind: KeywordKind, { files, dead, rows }: BuildSource) {
  return { segment: kind.open(files), dead: new RowSet(rows, new Uint8Array(dead)) };
}

/** The parts of an index of one delta. */
export function partsOf(kind: KeywordKind, parts: Partial<KeywordParts>): KeywordParts {
  return { sealed: [], frozen: [], active: kind.createDelta(), ...parts };
}

/** Random numbers below `max`, the same for the same seed: mulberry32. */
export function seededRandom(seed: number): (max: number) => number {
  let state = seed;
  return (max) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * max);
  };
}

const VOCABULARY =
  `race racing raced flag flags flagship cafe café wing wings lift lifting drag dragged flow flows
  relational relate relation hopeful hopefully computer computers computing x1 1990s größe groß the of and in`.split(
    /\s+/,
  );

/** A text of random words, some far commoner than others. */
export function randomText(random: (max: number) => number, words: number): string {
  return Array.from(
    { length: words },
    () => VOCABULARY[random(random(VOCABULARY.length) + 1)],
  ).join(" ");
}

/** Chunks with random texts and ascending keys that leave gaps. */
export function randomCorpus(
  random: (max: number) => number,
  { chunks, first = 1, wordsMax = 30 }: { chunks: number; first?: number; wordsMax?: number },
): Map<number, KeywordText> {
  const corpus = new Map<number, KeywordText>();
  let key = first;
  for (let index = 0; index < chunks; index++) {
    const title = random(3) === 0 ? null : randomText(random, random(4));
    corpus.set(key, { title, text: randomText(random, random(wordsMax) + 1) });
    key += 1 + random(3);
  }
  return corpus;
}

/** SQLite's own index of the same chunks. */
export function openFts(corpus: Corpus) {
  const db = new Database(":memory:");
  db.run(`CREATE VIRTUAL TABLE texts USING fts5(title, text, content = '', contentless_delete = 1,
    tokenize = "porter unicode61 remove_diacritics 2")`);
  const insert = db.prepare("INSERT INTO texts (rowid, title, text) VALUES (?, ?, ?)");
  db.transaction(() => {
    for (const [key, { title, text }] of corpus) insert.run(key, title, text);
  })();
  const select = db.prepare<{ key: number; score: number }, [string, number]>(
    "SELECT rowid AS key, -rank AS score FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?",
  );
  return {
    search: (expression: string, k: number) => select.all(expression, k),
    [Symbol.dispose]: () => db.close(),
  };
}
