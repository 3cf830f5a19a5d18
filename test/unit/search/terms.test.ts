import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { limits } from "../../../src/limits.ts";
import { findTerms, indexForm, queryTerms } from "../../../src/search/terms.ts";

describe("queryTerms", () => {
  test("gives the distinct words in order, in small letters, without the commonest ones", () => {
    expect(queryTerms("What is the RED flag of the wall, and a Red-Flag for?")).toEqual([
      "red",
      "flag",
      "wall",
    ]);
  });

  test("keeps common words where there are no others", () => {
    expect(queryTerms("To be or not to be")).toEqual(["to", "be", "or", "not"]);
    expect(queryTerms("the The THE")).toEqual(["the"]);
    expect(queryTerms("to be a flag")).toEqual(["flag"]);
  });

  test("gives none for a query without words", () => {
    for (const query of ["", " ", "?!…", "——", "\u200b", "🏁", '"*:^(']) {
      expect(queryTerms(query)).toEqual([]);
    }
  });

  test("is bounded for queries of any length", () => {
    const many = Array.from({ length: 5000 }, (_, index) => `word${index}`);
    expect(queryTerms(many.join(" "))).toEqual(many.slice(0, limits.keywordTermsMax));
    expect(queryTerms("a ".repeat(100_000))).toEqual(["a"]);
  });

  test("takes words of any script whole, with their marks and digits", () => {
    expect(queryTerms("Ünïcode e\u0301té 日本語 हिन्दी 2024s ½ x²")).toEqual([
      "ünïcode",
      "e\u0301té",
      "日本語",
      "हिन्दी",
      "2024s",
      "½",
      "x²",
    ]);
  });
});

/** The forms that SQLite's own tokenizer gives each word. */
function ftsForms(words: readonly string[]): string[] {
  using db = new Database(":memory:");
  db.run(
    `CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = "porter unicode61 remove_diacritics 2")`,
  );
  db.run("CREATE VIRTUAL TABLE forms USING fts5vocab(texts, 'instance')");
  const insert = db.prepare("INSERT INTO texts (rowid, text) VALUES (?, ?)");
  for (const [index, word] of words.entries()) insert.run(index, word);
  const rows = db.query<{ doc: number; term: string }, []>("SELECT doc, term FROM forms").all();
  const forms = words.map(() => "");
  for (const { doc, term } of rows) forms[doc] = `${forms[doc] ?? ""}${term}`;
  return forms;
}

/** Stems and endings that each rule of Porter's is about. */
const STEMS =
  "relat condition valenc hesit digit conform radic differ vile analog predic operat feudal decis hope callous sens form electric good reviv allow infer air gyroscop adjust defens irrit replac depend adopt communi activ homolog effectiv bowdler prob rat ceas control rol run fizz fall hiss fail fil sky happ ti caress pon plaster bled mot sing conflat trouble siz tann".split(
    " ",
  );
const ENDINGS =
  " s es ed eed ing y ies sses ational tional enci anci izer abli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti biliti icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion ou ism ate iti ous ive ize e l ll logy".split(
    " ",
  );

describe("indexForm", () => {
  test("is the form of the keyword index for English words and their endings", () => {
    const words = STEMS.flatMap((stem) => ENDINGS.map((ending) => stem + ending));
    expect(words.length).toBeGreaterThan(3000);
    expect(words.map(indexForm)).toEqual(ftsForms(words));
  });

  test("is the form of the keyword index for every word of the sample texts", async () => {
    const words = new Set<string>();
    for await (const path of new Bun.Glob("data/sample/*.md").scan()) {
      for (const [word] of (await Bun.file(path).text()).matchAll(/[\p{L}\p{N}\p{M}]+/gu))
        words.add(word);
    }
    expect(words.size).toBeGreaterThan(1000);
    expect([...words].map(indexForm)).toEqual(ftsForms([...words]));
  });

  test("is the form of the keyword index for words of small letters at random", () => {
    const arbitrary = fc.string({
      unit: fc.constantFrom(..."a e i o u y s l l t n b d g".split(" ")),
      minLength: 1,
      maxLength: 12,
    });
    const words = fc.sample(arbitrary, { seed: 3, numRuns: 2000 });
    expect(words.map(indexForm)).toEqual(ftsForms(words));
  });

  test("folds case and accents as the keyword index does", () => {
    const words = ["CAFÉ", "naïveté", "Ünïcode", "Ångström", "e\u0301té", "Łódź", "søren", "ÇA"];
    expect(words.map(indexForm)).toEqual(ftsForms(words));
  });

  test("joins and parts words with digits and foreign letters as the keyword index does", () => {
    const words = [
      "1990",
      "1990s",
      "mp3s",
      "mp3",
      "große",
      "großes",
      "œuvres",
      "œuvre",
      "x2",
      "x²",
    ];
    const ours = words.map(indexForm);
    const theirs = ftsForms(words);
    const pairs = (forms: readonly string[]) =>
      words.flatMap((a, i) =>
        words.filter((_, j) => j > i && forms[i] === forms[j]).map((b) => `${a}=${b}`),
      );
    expect(pairs(ours)).toEqual(pairs(theirs));
  });
});

/** The words of a text that a query finds, as they stand there. */
const found = (text: string, query: string) =>
  findTerms(text, new Set(queryTerms(query).map(indexForm))).map(({ start, end }) =>
    text.slice(start, end),
  );

describe("findTerms", () => {
  test("finds words in any form, with their place", () => {
    const text = "Racing cars RACED; the race's flag 🏁 fell.";
    expect(found(text, "races flags")).toEqual(["Racing", "RACED", "race", "flag"]);
    expect(findTerms("🏁 flag", new Set(["flag"]))).toEqual([{ start: 3, end: 7 }]);
  });

  test("finds words past accents, on either side", () => {
    expect(found("le Café, le CAFE\u0301", "cafe")).toEqual(["Café", "CAFE\u0301"]);
    expect(found("le cafe", "café")).toEqual(["cafe"]);
  });

  test("finds no parts of words", () => {
    expect(found("flagship flag", "flag")).toEqual(["flag"]);
    expect(found("unflagged", "flag")).toEqual([]);
    expect(found("", "flag")).toEqual([]);
  });

  test("finds each word that the keyword index finds, in random texts", () => {
    const word = fc.constantFrom("race", "Races", "racing", "raced", "flag", "café", "CAFES", "x1");
    const gap = fc.constantFrom(" ", ", ", "\n", "—", " 🏁 ", "-");
    const text = fc.array(fc.tuple(word, gap), { maxLength: 8 }).map((all) => all.flat().join(""));
    fc.assert(
      fc.property(text, word, (one, query) => {
        const words = one.split(/[^\p{L}\p{N}\p{M}]+/u).filter((part) => part !== "");
        const [form] = ftsForms([query]);
        const forms = ftsForms(words);
        expect(found(one, query)).toEqual(words.filter((_, index) => forms[index] === form));
      }),
      { seed: 5, numRuns: 100 },
    );
  });
});
