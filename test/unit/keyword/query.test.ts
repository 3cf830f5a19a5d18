import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createAnalyser } from "../../../src/keyword/analyser.ts";
import { createEditDistance } from "../../../src/keyword/edit-distance.ts";
import { findSpans } from "../../../src/keyword/highlight.ts";
import { createKeywordIndex } from "../../../src/keyword/keyword-index.ts";
import type { KeywordText } from "../../../src/keyword/keyword-delta.ts";
import { createKeywordKind } from "../../../src/keyword/keyword-kind.ts";
import { parseKeywordQuery, type ParseOptions } from "../../../src/keyword/parse-query.ts";
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
  type TestFolder,
} from "./fixtures.ts";

const analyser = await createAnalyser("english");
const kind = createKeywordKind(analyser);
const parse = (text: string, options: Partial<ParseOptions> = {}) =>
  parseKeywordQuery(text, { analyser, termsMax: 32, ...options });
const forms = (text: string, options?: Partial<ParseOptions>) =>
  parse(text, options).words.map(({ form }) => form);

/** The corpus in a delta, in a segment, and half in each. */
function indexesOf(corpus: Corpus, folder: TestFolder) {
  const half = (rest: number) => new Map([...corpus].filter(([key]) => key % 2 === rest));
  const sealed = (part: Corpus) =>
    sealedOf(kind, sourceOf(kind, { corpus: part, folder: folder.fresh() }));
  return [
    partsOf(kind, { active: deltaOf(kind, corpus) }),
    partsOf(kind, { sealed: [sealed(corpus)] }),
    partsOf(kind, { sealed: [sealed(half(0))], active: deltaOf(kind, half(1)) }),
  ].map((parts) => createKeywordIndex(() => parts));
}

const textsOf = (...texts: string[]) =>
  new Map<number, KeywordText>(texts.map((text, index) => [index + 1, { title: null, text }]));

describe("parseKeywordQuery", () => {
  test("gives distinct words without the commonest ones, which stay where there are no others", () => {
    expect(forms("What is the RED flag of the wall, and a Red-Flags for?")).toEqual([
      "red",
      "flag",
      "wall",
    ]);
    expect(parse("flag Flags race flags FLAG").words).toEqual([
      { form: "flag", letters: "flags", weight: 2 },
      { form: "race", letters: "race" },
    ]);
    expect(forms("to be or not to be")).toEqual(["to", "be", "or", "not"]);
    for (const empty of ["", " ", "?!", "🏁", '""', '"'])
      expect(parse(empty)).toEqual({ words: [], phrases: [] });
  });

  test("takes quoted words for a phrase, of which the common words only count in it", () => {
    const { words, phrases } = parse('racing "state of the art" “red flags” "single');
    expect(phrases).toEqual([
      ["state", "of", "the", "art"],
      ["red", "flag"],
    ]);
    expect(words.map(({ form }) => form)).toEqual(["race", "state", "art", "red", "flag", "singl"]);
  });

  test("marks the last word as a beginning, unless a space or a quote ends it", () => {
    expect(parse("red fl", { prefix: true }).words.at(-1)).toMatchObject({
      form: "fl",
      prefix: true,
    });
    expect(parse("the", { prefix: true }).words).toMatchObject([{ form: "the", prefix: true }]);
    for (const ended of ["red fl ", 'red "fl"']) {
      expect(parse(ended, { prefix: true }).words.some((word) => word.prefix)).toBe(false);
    }
    const many = Array.from({ length: 40 }, (_, index) => `w${index}`).join(" ");
    expect(parse(many, { prefix: true }).words.at(-1)).toMatchObject({ form: "w39", prefix: true });
    expect(parse(many, { prefix: true }).words.length).toBe(32);
  });

  test("allows edits by length", () => {
    const words = parse("red flags aircraft", { typo: true }).words;
    expect(words.map(({ distance }) => distance ?? 0)).toEqual([0, 1, 2]);
  });
});

describe("phrases", () => {
  test("are required, in order and in one field, as in FTS5", () => {
    using folder = testFolder();
    for (let seed = 1; seed <= 5; seed++) {
      const random = seededRandom(seed);
      const corpus = randomCorpus(random, { chunks: 500, wordsMax: 60 });
      using fts = openFts(corpus);
      const indexes = indexesOf(corpus, folder);
      for (let round = 0; round < 15; round++) {
        const phrase = randomText(random, 1 + random(3));
        const query = parse(`"${phrase}" wing`);
        const theirs = fts.search(`"${phrase}"`, 1000).map(({ key }) => key);
        for (const index of indexes) {
          const found = index.search({ query, k: 1000 }).map(({ key }) => key);
          expect(new Set(found)).toEqual(new Set(theirs));
          expect(new Set(index.matching(query))).toEqual(new Set(theirs));
          const allowed = new Set(theirs.slice(0, 3));
          expect(index.search({ query, k: 2, allowed }).length).toBe(Math.min(2, allowed.size));
        }
      }
    }
  });

  test("do not reach from the title into the text", () => {
    const active = kind.createDelta();
    active.add(1, { title: "red", text: "flag" });
    const index = createKeywordIndex(() => partsOf(kind, { active }));
    expect(index.search({ query: parse('"red flag"'), k: 5 })).toEqual([]);
    expect(index.search({ query: parse("red flag"), k: 5 }).length).toBe(1);
    expect(index.search({ query: { words: [], phrases: [["red"]] }, k: 5 })).toEqual([
      { key: 1, score: 0 },
    ]);
  });
});

describe("beginnings of words", () => {
  test("stand for the words that begin so, and for the word that has the same stem", () => {
    using folder = testFolder();
    const corpus = textsOf(
      "computers compute",
      "compass",
      "company",
      "happiness here",
      "a combination",
    );
    for (const index of indexesOf(corpus, folder)) {
      const find = (text: string) =>
        index
          .search({ query: parse(text, { prefix: true }), k: 9 })
          .map(({ key }) => key)
          .toSorted((a, b) => a - b);
      expect(find("comp")).toEqual([1, 2, 3]);
      expect(find("compu")).toEqual([1]);
      expect(find("computing")).toEqual([1]);
      expect(find("happine")).toEqual([4]);
      expect(find("zebra")).toEqual([]);
      expect(new Set(index.expand({ form: "com", prefix: true }))).toEqual(
        new Set(["comput", "compass", "compani", "combin"]),
      );
    }
  });

  test("stand for the fifty most frequent words at most", () => {
    using folder = testFolder();
    const many = Array.from({ length: 200 }, (_, index) => `ab${index}x`);
    const corpus = textsOf(many.join(" "), "ab150x", "ab150x ab7x");
    for (const index of indexesOf(corpus, folder)) {
      const words = index.expand({ form: "ab", prefix: true });
      expect(words.length).toBe(50);
      expect(words.slice(0, 2)).toEqual(["ab150x", "ab7x"]);
    }
  });
});

describe("misspelt words", () => {
  const corpus = textsOf(
    "the computer",
    "an algorithm",
    "red flag",
    "flap",
    "computation algorithm",
  );

  test("stand for the words they nearly are, and right ones only for themselves", () => {
    using folder = testFolder();
    for (const index of indexesOf(corpus, folder)) {
      const find = (text: string) =>
        index
          .search({ query: parse(text, { typo: true }), k: 9 })
          .map(({ key }) => key)
          .toSorted((a, b) => a - b);
      expect(find("algoritm")).toEqual([2, 5]);
      expect(find("compuetr")).toEqual([1, 5]);
      expect(find("lfag")).toEqual([]);
      expect(find("falg")).toEqual([3]);
      expect(find("flag")).toEqual([3]);
      expect(find("rde")).toEqual([]);
      const right = index.search({ query: parse("algorithm"), k: 1 })[0]?.score ?? 0;
      const wrong = index.search({ query: parse("algoritm", { typo: true }), k: 1 })[0]?.score ?? 0;
      expect(wrong).toBeGreaterThan(0);
      expect(wrong).toBeLessThan(right);
    }
  });

  test("are as far as the table of all prefixes says", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c", "é", "𐐀"), maxLength: 9 });
    fc.assert(
      fc.property(word, fc.array(word, { minLength: 1, maxLength: 20 }), (one, others) => {
        for (const max of [1, 2]) {
          const { measure } = createEditDistance(one, max);
          for (const other of others.toSorted()) {
            const points = Uint32Array.from(other, (letter) => letter.codePointAt(0) ?? 0);
            const distance = editsBetween(Array.from(one), Array.from(other));
            expect(measure(points, points.length)).toBe(distance <= max ? distance : Infinity);
          }
        }
      }),
      { seed: 9, numRuns: 300 },
    );
  });
});

/** Optimal string alignment by its definition. */
function editsBetween(a: readonly string[], b: readonly string[]): number {
  const known = new Map<string, number>();
  const edits = (i: number, j: number): number => {
    if (Math.min(i, j) === 0) return Math.max(i, j);
    const name = `${i} ${j}`;
    const before = known.get(name);
    if (before !== undefined) return before;
    const same = a[i - 1] === b[j - 1] ? 0 : 1;
    let least = Math.min(edits(i - 1, j) + 1, edits(i, j - 1) + 1, edits(i - 1, j - 1) + same);
    if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
      least = Math.min(least, edits(i - 2, j - 2) + 1);
    }
    known.set(name, least);
    return least;
  };
  return edits(a.length, b.length);
}

const found = (text: string, query: string) => {
  const { words, phrases } = parse(query);
  const shown = { forms: new Set(words.map(({ form }) => form)), phrases };
  return findSpans(text, shown, analyser).map(({ start, end }) => text.slice(start, end));
};

describe("findSpans", () => {
  test("finds words in any form, phrases as a whole, and no parts of words", () => {
    const text = "Racing cars RACED; the race's Café flag 🏁 fell, unflagged.";
    expect(found(text, "races flags cafe")).toEqual(["Racing", "RACED", "race", "Café", "flag"]);
    expect(found("A red flag, red, flag red flags", '"red flags"')).toEqual([
      "red flag",
      "red, flag",
      "red flags",
    ]);
    expect(found("red x flag", '"red flag"')).toEqual(["red", "flag"]);
    expect(found("", "flag")).toEqual([]);
    expect(findSpans("🏁 flag", { forms: new Set(["flag"]) }, analyser)).toEqual([
      { start: 3, end: 7 },
    ]);
  });
});
