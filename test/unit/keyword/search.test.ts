import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createAnalyser } from "../../../src/keyword/analyser.ts";
import type { KeywordMatch } from "../../../src/keyword/best-matches.ts";
import type { KeywordText } from "../../../src/keyword/keyword-delta.ts";
import { createKeywordIndex, type KeywordParts } from "../../../src/keyword/keyword-index.ts";
import { createKeywordKind } from "../../../src/keyword/keyword-kind.ts";
import {
  deltaOf,
  openFts,
  partsOf,
  randomCorpus,
  randomText,
  sealedOf,
  seededRandom,
  sourceOf,
  testFolder,
  type Corpus,
} from "./fixtures.ts";

const analyser = await createAnalyser("english");
const kind = createKeywordKind(analyser);

interface Oracle {
  /** All chunks that the statistics count, and of those the live ones. */
  counted: readonly KeywordText[];
  live: Corpus;
  titleWeight?: number;
}

interface Words {
  title: readonly string[];
  text: readonly string[];
  all: ReadonlySet<string>;
}

const formsOf = (text: string) => analyser.tokens(text).map((token) => token.form);

const readAlready = new WeakMap<KeywordText, Words>();

function read(chunk: KeywordText): Words {
  const known = readAlready.get(chunk);
  if (known !== undefined) return known;
  const [title, text] = [formsOf(chunk.title ?? ""), formsOf(chunk.text ?? "")];
  const fresh = { title, text, all: new Set([...title, ...text]) };
  readAlready.set(chunk, fresh);
  return fresh;
}

const times = (words: readonly string[], form: string) =>
  words.filter((word) => word === form).length;

/** BM25 by the book: every chunk against every word. */
function bruteForce(
  { counted, live, titleWeight = 1 }: Oracle,
  forms: readonly string[],
): KeywordMatch[] {
  const all = counted.map(read);
  const average =
    all.reduce((sum, { title, text }) => sum + title.length + text.length, 0) / all.length;
  const idfs = forms.map((form) => {
    const count = all.filter((words) => words.all.has(form)).length;
    return Math.max(1e-6, Math.log((all.length - count + 0.5) / (count + 0.5)));
  });
  const matches: KeywordMatch[] = [];
  for (const [key, chunk] of live) {
    const { title, text } = read(chunk);
    const norm = 1.2 * (0.25 + (0.75 * (title.length + text.length)) / average);
    let score = 0;
    for (const [index, form] of forms.entries()) {
      const frequency = titleWeight * times(title, form) + times(text, form);
      score += ((idfs[index] ?? 0) * frequency * 2.2) / (frequency + norm);
    }
    if (score > 0) matches.push({ key, score });
  }
  return matches.toSorted((a, b) => b.score - a.score || a.key - b.key);
}

/** Holds the k best against all matches. Where scores are equal but for rounding, either chunk may come first. */
function expectBest(found: readonly KeywordMatch[], all: readonly KeywordMatch[], k: number): void {
  const scores = new Map(all.map(({ key, score }) => [key, score]));
  const expected = all.slice(0, k);
  expect(found.length).toBe(expected.length);
  expect(new Set(found.map(({ key }) => key)).size).toBe(found.length);
  for (const [place, { key, score }] of found.entries()) {
    expect(Math.abs(score - (scores.get(key) ?? Infinity))).toBeLessThan(1e-10);
    expect(Math.abs(score - (expected[place]?.score ?? Infinity))).toBeLessThan(1e-10);
    const next = found[place + 1];
    if (next === undefined) continue;
    expect(next.score < score || (next.score === score && next.key > key)).toBe(true);
  }
}

const wordsOf = (text: string) => [...new Set(analyser.tokens(text).map(({ form }) => form))];
const queryOf = (forms: readonly string[]) => ({
  words: forms.map((form) => ({ form })),
  phrases: [],
});

/** The same live chunks in parts of every kind, with what their statistics count. */
function spread(corpus: Corpus, random: (max: number) => number, folder: { fresh(): string }) {
  const sources: Map<number, KeywordText>[] = [new Map(), new Map(), new Map(), new Map()];
  for (const [key, text] of corpus) sources[random(sources.length)]?.set(key, text);
  const [one = new Map(), two = new Map(), three = new Map(), four = new Map()] = sources;
  const dead = new Map<number, KeywordText>();
  const kill = (part: Map<number, KeywordText>): number[] => {
    const keys: number[] = [];
    for (let key = 100_000 + dead.size; random(4) > 0 || keys.length === 0; key++) {
      const text = { title: null, text: randomText(random, 8) };
      dead.set(key, text);
      part.set(key, text);
      keys.push(key);
    }
    return keys;
  };
  const deadOne = kill(one);
  const deadTwo = kill(two);
  const deadThree = kill(three);
  const active = deltaOf(kind, four);
  active.add(99_999, { title: "race", text: "race race" });
  active.remove(99_999);
  const parts: KeywordParts = {
    sealed: [
      sealedOf(kind, sourceOf(kind, { corpus: one, folder: folder.fresh(), dead: deadOne })),
      sealedOf(kind, sourceOf(kind, { corpus: two, folder: folder.fresh(), dead: deadTwo })),
    ],
    frozen: [{ delta: deltaOf(kind, three), dead: new Set(deadThree) }],
    active,
  };
  return { parts, counted: [...corpus.values(), ...dead.values()] };
}

describe("search", () => {
  test("ranks as BM25 by the book and as FTS5, in a delta and in a segment", () => {
    using folder = testFolder();
    for (let seed = 1; seed <= 12; seed++) {
      const random = seededRandom(seed);
      const corpus = randomCorpus(random, { chunks: 1 + random(600) });
      using fts = openFts(corpus);
      const source = sourceOf(kind, { corpus, folder: folder.fresh() });
      const places = [
        partsOf(kind, { active: deltaOf(kind, corpus) }),
        partsOf(kind, { sealed: [sealedOf(kind, source)] }),
      ];
      for (let round = 0; round < 12; round++) {
        const forms = wordsOf(randomText(random, 1 + random(7)));
        const expected = bruteForce({ counted: [...corpus.values()], live: corpus }, forms);
        const k = 1 + random(20);
        const theirs = fts.search(forms.map((form) => `"${form}"`).join(" OR "), k);
        for (const parts of places) {
          const index = createKeywordIndex(() => parts);
          const found = index.search({ query: queryOf(forms), k });
          expectBest(found, expected, k);
          expect(new Set(index.matching(queryOf(forms)))).toEqual(
            new Set(expected.map(({ key }) => key)),
          );
          // FTS5 stems what it is asked for once more, so that only stems of themselves can be compared.
          if (forms.every((form) => analyser.form(form) === form)) {
            expect(found.length).toBe(theirs.length);
            for (const [place, { score }] of theirs.entries()) {
              expect(Math.abs(score - (found[place]?.score ?? 0))).toBeLessThan(1e-6);
            }
          }
        }
      }
    }
  });

  test("ranks alike over several segments, a frozen and an active delta with dead rows", () => {
    using folder = testFolder();
    for (let seed = 21; seed <= 32; seed++) {
      const random = seededRandom(seed);
      const corpus = randomCorpus(random, { chunks: 40 + random(600) });
      const { parts, counted } = spread(corpus, random, folder);
      const index = createKeywordIndex(() => parts);
      expect(index.size).toBe(corpus.size);
      for (const key of corpus.keys()) expect(index.has(key)).toBe(true);
      for (const key of [99_999, 100_000, -1, 0.5]) expect(index.has(key)).toBe(false);
      for (let round = 0; round < 10; round++) {
        const forms = wordsOf(randomText(random, 1 + random(7)));
        const expected = bruteForce({ counted, live: corpus }, forms);
        const k = 1 + random(40);
        expectBest(index.search({ query: queryOf(forms), k }), expected, k);
        const allowed = new Set(
          [...corpus.keys(), 99_999, 100_000].filter(() => random(1 + seed) < 2),
        );
        const among = expected.filter(({ key }) => allowed.has(key));
        expectBest(index.search({ query: queryOf(forms), k, allowed }), among, k);
        expect(new Set(index.matching(queryOf(forms), allowed))).toEqual(
          new Set(among.map(({ key }) => key)),
        );
        const { chunks, counts } = index.frequencies(forms);
        expect(chunks).toBe(counted.length);
        expect(counts.every((count) => count <= chunks)).toBe(true);
      }
    }
  });

  test("skips windows and words that cannot matter, and finds the same", () => {
    using folder = testFolder();
    const random = seededRandom(51);
    const corpus = randomCorpus(random, { chunks: 30_000, wordsMax: 9 });
    for (const key of [5, 9000, 20_000])
      corpus.set(key, { title: "rareword", text: "computing rareword" });
    const parts = partsOf(kind, {
      sealed: [sealedOf(kind, sourceOf(kind, { corpus, folder: folder.fresh() }))],
    });
    const index = createKeywordIndex(() => parts);
    for (const text of [
      "rareword",
      "race flag rareword",
      "race",
      "computing the größe 1990s",
      "in of",
    ]) {
      const expected = bruteForce({ counted: [...corpus.values()], live: corpus }, wordsOf(text));
      expectBest(index.search({ query: queryOf(wordsOf(text)), k: 10 }), expected, 10);
      const allowed = new Set([9000, 9001, 20_000, 5, 77]);
      const among = expected.filter(({ key }) => allowed.has(key));
      expectBest(index.search({ query: queryOf(wordsOf(text)), k: 10, allowed }), among, 10);
    }
  }, 30_000);

  test("weighs titles", () => {
    using folder = testFolder();
    const weighted = createKeywordKind(analyser, { titleWeight: 2.5 });
    const random = seededRandom(61);
    const corpus = randomCorpus(random, { chunks: 300 });
    const source = sourceOf(weighted, { corpus, folder: folder.fresh() });
    const oracle = { counted: [...corpus.values()], live: corpus, titleWeight: 2.5 };
    for (const parts of [
      partsOf(weighted, { active: deltaOf(weighted, corpus) }),
      partsOf(weighted, { sealed: [sealedOf(weighted, source)] }),
    ]) {
      const forms = wordsOf("racing flag lift größe");
      const found = createKeywordIndex(() => parts).search({ query: queryOf(forms), k: 25 });
      expectBest(found, bruteForce(oracle, forms), 25);
    }
  });

  test("gives equal chunks equal scores, by key, wherever they are", () => {
    using folder = testFolder();
    const random = seededRandom(71);
    const texts = Array.from({ length: 6 }, () => ({ title: null, text: randomText(random, 12) }));
    const corpus = new Map<number, KeywordText>();
    for (let key = 1; key <= 600; key++)
      corpus.set(key, texts[random(6)] ?? { title: "", text: "" });
    const { parts } = spread(corpus, random, folder);
    const found = createKeywordIndex(() => parts).search({
      query: queryOf(wordsOf("race flag the lift")),
      k: 600,
    });
    for (const [place, { key, score }] of found.entries()) {
      const next = found[place + 1];
      if (next !== undefined)
        expect(next.score < score || (next.score === score && next.key > key)).toBe(true);
    }
    const scores = Map.groupBy(found, ({ key }) => corpus.get(key));
    for (const same of scores.values())
      expect(new Set(same.map(({ score }) => score)).size).toBe(1);
  });

  test("finds nothing in an empty index, for an empty query, and for k 0", () => {
    const empty = createKeywordIndex(() => partsOf(kind, {}));
    expect(empty.search({ query: queryOf(["race"]), k: 10 })).toEqual([]);
    expect(empty.frequencies(["race"])).toEqual({ chunks: 0, counts: [0] });
    const active = deltaOf(kind, new Map([[1, { title: null, text: "race" }]]));
    const index = createKeywordIndex(() => partsOf(kind, { active }));
    expect(index.search({ query: { words: [], phrases: [] }, k: 10 })).toEqual([]);
    expect(index.search({ query: queryOf(["race"]), k: 0 })).toEqual([]);
    expect(index.search({ query: queryOf(["race"]), k: 10, allowed: new Set() })).toEqual([]);
    expect(index.search({ query: queryOf(["nowhere"]), k: 10 })).toEqual([]);
    expect(index.search({ query: queryOf(["race"]), k: 10 }).length).toBe(1);
  });

  test("keeps chunks without words, and words of any kind", () => {
    using folder = testFolder();
    const long = "x".repeat(10_000);
    const corpus = new Map<number, KeywordText>([
      [1, { title: null, text: null }],
      [2, { title: "", text: "🏁 🏁 —!" }],
      [3, { title: null, text: `${long} and \ud800 half \udc00` }],
      [4, { title: null, text: "𐐀𐐁 日本語 हिन्दी" }],
    ]);
    const source = sourceOf(kind, { corpus, folder: folder.fresh() });
    for (const parts of [
      partsOf(kind, { active: deltaOf(kind, corpus) }),
      partsOf(kind, { sealed: [sealedOf(kind, source)] }),
    ]) {
      const index = createKeywordIndex(() => parts);
      const find = (text: string) =>
        index.search({ query: queryOf(wordsOf(text)), k: 9 }).map(({ key }) => key);
      expect(index.size).toBe(4);
      expect(find(long)).toEqual([3]);
      expect(find("half")).toEqual([3]);
      expect(find("𐐨𐐩")).toEqual([4]);
      expect(find("हिन्दी")).toEqual([4]);
      expect(find("🏁")).toEqual([]);
    }
  });

  test("updates and removals of any order leave what is live", () => {
    const step = fc.record({
      key: fc.nat(12),
      text: fc.constantFrom("race", "flag wing", "race race flag", null),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const delta = kind.createDelta();
        const live = new Map<number, KeywordText>();
        for (const { key, text } of steps) {
          if (text === null) expect(delta.remove(key)).toBe(live.delete(key));
          else {
            live.set(key, { title: null, text });
            delta.add(key, { title: null, text });
          }
        }
        expect(new Set(delta.keys())).toEqual(new Set(live.keys()));
        const index = createKeywordIndex(() => partsOf(kind, { active: delta }));
        const expected = bruteForce({ counted: [...live.values()], live }, ["race", "flag"]);
        expectBest(index.search({ query: queryOf(["race", "flag"]), k: 20 }), expected, 20);
      }),
      { seed: 81, numRuns: 200 },
    );
  });
});
