import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAnalyser } from "../../../src/keyword/analyser.ts";
import { createKeywordIndex } from "../../../src/keyword/keyword-index.ts";
import type { KeywordText } from "../../../src/keyword/keyword-delta.ts";
import { createKeywordKind } from "../../../src/keyword/keyword-kind.ts";
import { parseKeywordQuery } from "../../../src/keyword/parse-query.ts";
import type { BuildSource } from "../../../src/segments/segment-kind.ts";
import {
  deltaOf,
  partsOf,
  randomCorpus,
  randomText,
  run,
  sealedOf,
  seededRandom,
  sourceOf,
  testFolder,
} from "./fixtures.ts";

const analyser = await createAnalyser("english");
const kind = createKeywordKind(analyser);

function build(sources: readonly BuildSource[], folder: string) {
  return run(kind.build({ kind: kind.name, facts: kind.facts, sources, folder }));
}

const bytesOf = (files: Readonly<Record<string, string>>) => readFileSync(files["postings"] ?? "");

describe("a merged segment", () => {
  test("is byte for byte the one that its live rows make when they are new", () => {
    using folder = testFolder();
    for (let seed = 1; seed <= 8; seed++) {
      const random = seededRandom(seed);
      const corpus = randomCorpus(random, { chunks: 50 + random(900) });
      const parts = Array.from({ length: 1 + random(4) }, () => new Map<number, KeywordText>());
      const dead = parts.map(() => [] as number[]);
      const live = new Map<number, KeywordText>();
      for (const [key, text] of corpus) {
        const at = random(parts.length);
        parts[at]?.set(key, text);
        if (random(4) === 0) dead[at]?.push(key);
        else live.set(key, text);
        // The same chunk was in another part before, where it is dead now.
        const old = random(parts.length);
        if (old === at || random(5) > 0) continue;
        parts[old]?.set(key, { title: null, text: "outdated words" });
        dead[old]?.push(key);
      }
      const sources = parts.map((part, at) =>
        sourceOf(kind, { corpus: part, folder: folder.fresh(), dead: dead[at] ?? [] }),
      );
      const place = folder.fresh();
      const built = build(sources, place);
      expect(built).toMatchObject({ rows: live.size, dead: new Uint8Array(0) });
      expect(readdirSync(place)).toEqual(["postings"]);
      const fresh = sourceOf(kind, { corpus: live, folder: folder.fresh() });
      expect(bytesOf(built.files).equals(bytesOf(fresh.files))).toBe(true);
    }
  });

  test("can be empty", () => {
    using folder = testFolder();
    const corpus = new Map([[7, { title: "red", text: "flag" }]]);
    const source = sourceOf(kind, { corpus, folder: folder.fresh(), dead: [7] });
    for (const sources of [[], [source], [source, source]]) {
      const built = build(sources, folder.fresh());
      expect(built.rows).toBe(0);
      const segment = kind.open(built.files);
      expect([segment.rows, segment.rowOf(7), segment.count("red")]).toEqual([0, -1, 0]);
      segment.close();
      expect(() => segment.count("red")).toThrow("closed");
    }
  });

  test("is not made of two live rows with one key, nor of a delta's files for other weights", () => {
    using folder = testFolder();
    const corpus = new Map([[7, { title: "red", text: "flag" }]]);
    const source = sourceOf(kind, { corpus, folder: folder.fresh() });
    const place = folder.fresh();
    expect(() => build([source, source], place)).toThrow("damaged");
    expect(readdirSync(place)).toEqual([]);
    expect(() => build([{ ...source, rows: 2 }], folder.fresh())).toThrow("damaged");
    const other = createKeywordKind(analyser, { titleWeight: 3 });
    expect(() => other.open(source.files)).toThrow("other weights");
  });

  test("is written in steps", () => {
    using folder = testFolder();
    const corpus = randomCorpus(seededRandom(5), { chunks: 4000 });
    const steps = deltaOf(kind, corpus).dump(folder.fresh());
    let count = 0;
    while (steps.next().done !== true) count++;
    expect(count).toBeGreaterThan(10);
  });
});

describe("a dump", () => {
  test("has the live rows with ascending keys, in whatever order they came", () => {
    using folder = testFolder();
    const random = seededRandom(11);
    const corpus = randomCorpus(random, { chunks: 700 });
    const delta = kind.createDelta();
    for (const [key, text] of [...corpus].toReversed()) {
      delta.add(key, { title: null, text: randomText(random, 3) });
      if (random(2) === 0) delta.add(key + 100_000, text);
      delta.add(key, text);
    }
    for (const key of Array.from(delta.keys())) if (key >= 100_000) delta.remove(key);
    const files = run(delta.dump(folder.fresh()));
    const fresh = sourceOf(kind, { corpus, folder: folder.fresh() });
    expect(bytesOf(files).equals(bytesOf(fresh.files))).toBe(true);
    const segment = kind.open(files);
    for (const [row, key] of [...corpus.keys()].entries()) {
      expect([segment.keyAt(row), segment.rowOf(key)]).toEqual([key, row]);
    }
    expect(segment.rowOf(0.5)).toBe(-1);
    expect(() => segment.keyAt(corpus.size)).toThrow();
  });
});

function attempt(path: string, rows: number, query: ReturnType<typeof parseKeywordQuery>) {
  const files = { postings: path };
  let part;
  try {
    part = sealedOf(kind, { files, rows, dead: new Uint8Array(0) });
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return "refused";
  }
  const parts = partsOf(kind, { sealed: [part] });
  const index = createKeywordIndex(() => parts);
  let failed = false;
  for (const work of [
    () => index.search({ query: { ...query, phrases: [] }, k: 10 }),
    () => index.search({ query, k: 10 }),
    () => index.matching(query),
    () => index.expand({ form: "compter", distance: 2 }),
    () => index.expand({ form: "r", prefix: true }),
    () => index.has(17),
    () => {
      using folder = testFolder();
      return build([{ files, rows, dead: new Uint8Array(0) }], folder.path);
    },
  ]) {
    try {
      work();
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
      failed = true;
    }
  }
  return failed ? "failed" : "answered";
}

describe("a damaged file", () => {
  test("is an Error or an answer, and no search hangs", () => {
    using folder = testFolder();
    const random = seededRandom(21);
    const corpus = randomCorpus(random, { chunks: 400 });
    const source = sourceOf(kind, { corpus, folder: folder.fresh() });
    const whole = bytesOf(source.files);
    const path = join(folder.fresh(), "postings");
    const query = parseKeywordQuery('racing flag lift computing "of the"', {
      analyser,
      termsMax: 9,
    });
    const outcomes = { refused: 0, failed: 0, answered: 0 };
    for (let round = 0; round < 400; round++) {
      const bytes = Buffer.from(whole);
      for (let edits = 1 + random(3); edits > 0; edits--) {
        const at = round % 3 === 0 ? random(512) : random(bytes.length);
        bytes[at] = round % 2 === 0 ? 0xff : random(256);
      }
      writeFileSync(path, round % 50 === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
      const outcome = attempt(path, source.rows, query);
      outcomes[outcome]++;
    }
    expect(outcomes.refused).toBeGreaterThan(20);
    expect(outcomes.failed).toBeGreaterThan(20);
    expect(outcomes.answered).toBeGreaterThan(20);
  }, 30_000);

  test("is refused where it is empty, cut or something else", () => {
    using folder = testFolder();
    const path = join(folder.path, "postings");
    for (const bytes of ["", "SLIPKEYW", "x".repeat(4096)]) {
      writeFileSync(path, bytes);
      expect(() => kind.open({ postings: path })).toThrow();
    }
    expect(() => kind.open({})).toThrow("damaged");
  });
});
