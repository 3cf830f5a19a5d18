import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { KEYWORD_LANGUAGES } from "../../../src/contract/collections.ts";
import { createAnalyser } from "../../../src/keyword/analyser.ts";

const english = await createAnalyser("english");
const plain = await createAnalyser("none");

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

const STEMS =
  `relat condition valenc hesit digit conform radic differ vile analog predic operat feudal decis hope callous sens form
  electric good reviv allow infer air gyroscop adjust defens irrit replac depend adopt communi activ homolog effectiv
  prob rat ceas control rol run fizz fall hiss fail fil sky happ ti caress pon plaster bled mot sing conflat siz tann`.split(
    /\s+/,
  );
const ENDINGS =
  ` s es ed eed ing y ies sses ational tional enci anci izer abli alli entli eli ousli ization ation ator alism iveness
  fulness ousness aliti iviti biliti icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment
  ent ion sion ou ism ate iti ous ive ize e l ll logy`.split(/\s+/);

describe("forms of English words", () => {
  test("are FTS5's for stems with every ending", () => {
    const words = STEMS.flatMap((stem) => ENDINGS.map((ending) => stem + ending));
    expect(words.length).toBeGreaterThan(3000);
    expect(words.map(english.form)).toEqual(ftsForms(words));
  });

  test("are FTS5's for every word of the sample texts", async () => {
    const words = new Set<string>();
    for await (const path of new Bun.Glob("data/sample/*.md").scan()) {
      for (const { start, end } of english.tokens(await Bun.file(path).text())) {
        expect(end).toBeGreaterThan(start);
      }
      for (const [word] of (await Bun.file(path).text()).matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
        words.add(word);
      }
    }
    expect(words.size).toBeGreaterThan(1000);
    expect([...words].map(english.form)).toEqual(ftsForms([...words]));
  });

  test("are FTS5's for small letters at random", () => {
    const arbitrary = fc.string({
      unit: fc.constantFrom(..."a e i o u y s l t n b d g é ß".split(" ")),
      minLength: 1,
      maxLength: 12,
    });
    const words = fc
      .sample(arbitrary, { seed: 3, numRuns: 3000 })
      .filter((word) => !/ßß/.test(word));
    expect(words.map(english.form)).toEqual(ftsForms(words));
  });

  test("are FTS5's for folded case and accents, other scripts and long words", () => {
    const words =
      `CAFÉ naïveté Ünïcode Ångström e\u0301té Łódź søren ÇA 1990s mp3s große großes œuvres x² ½ Ⅻ ΟΔΟΣ й ё
      ά İstanbul \u1ebf 日本語 한국 𐐀x`.split(/\s+/);
    words.push(`${"a".repeat(61)}ing`, `${"a".repeat(62)}ing`, `${"é".repeat(30)}ings`, "as", "is");
    expect(words.map(english.form)).toEqual(ftsForms(words));
  });
});

describe("tokens", () => {
  test("have their place in UTF-16 and their number", () => {
    expect(english.tokens("🏁 Racing, flags—x²!")).toEqual([
      { form: "race", start: 3, end: 9, position: 0 },
      { form: "flag", start: 11, end: 16, position: 1 },
      { form: "x²", start: 17, end: 19, position: 2 },
    ]);
  });

  test("are the runs of letters, digits and marks in any text", () => {
    const unit = fc.constantFrom(
      "a",
      "Z",
      "9",
      " ",
      "-",
      "é",
      "e\u0301",
      "न",
      "्",
      "\ue000",
      "𐐀",
      "🏁",
      "\ud800",
      "\udc00",
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 20 }), (units) => {
        const text = units.join("");
        const runs = [...text.matchAll(/[\p{L}\p{N}\p{M}\p{Co}]+/gu)];
        const expected = runs.map(({ index, 0: word }) => ({
          start: index,
          end: index + word.length,
        }));
        const found = plain.tokens(text);
        expect(found.map(({ start, end }) => ({ start, end }))).toEqual(expected);
        expect(found.map(({ form }) => form)).toEqual(runs.map(([word]) => plain.fold(word)));
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  test("are bounded for words of any length", () => {
    const [token] = english.tokens("𐐀".repeat(10_000));
    expect(token).toMatchObject({ start: 0, end: 20_000 });
    expect(token?.form.length).toBeLessThanOrEqual(256);
    expect(token?.form.isWellFormed()).toBe(true);
    expect(english.tokens(`${"ab".repeat(5000)}ing`)[0]?.form.length).toBe(256);
  });
});

describe("languages", () => {
  test("know the forms of their words", async () => {
    const pairs = {
      german: ["Häuser", "hausen"],
      french: ["régulièrement", "régulière"],
      spanish: ["informaciones", "información"],
      russian: ["книгами", "книга"],
      portuguese: ["informações", "informação"],
      swedish: ["flickorna", "flickor"],
      italian: ["abbandonata", "abbandonato"],
      dutch: ["lichamelijke", "lichamelijk"],
    };
    for (const [language, [one = "", other = ""]] of Object.entries(pairs)) {
      const { form } = await createAnalyser(language);
      expect(`${language} ${form(one)}`).toBe(`${language} ${form(other)}`);
      expect(form(one)).not.toBe(form("zzz"));
    }
  });

  test("give each word a form, the same every time, and accents do not matter in Latin", async () => {
    const words = "1990 a haus Größe régulier книгами σπίτια مكتبة थाना evlerinden 日本語 x".split(
      " ",
    );
    words.push("y".repeat(300));
    for (const language of KEYWORD_LANGUAGES) {
      const { form, tokens } = await createAnalyser(language);
      for (const word of words) {
        expect(form(word).length).toBeGreaterThan(0);
        expect(form(word)).toBe(form(word));
        expect(tokens(word)).toMatchObject([{ form: form(word), start: 0, end: word.length }]);
      }
      expect(form("A\u0301XY")).toBe(form("\u00c1xy"));
    }
    expect(plain.form("Racing")).toBe("racing");
  });

  test("that are not known are refused", async () => {
    for (const language of ["klingon", "constructor", ""]) {
      const problem = await createAnalyser(language).catch((error: unknown) => error);
      expect(problem).toMatchObject({ code: "invalid_request" });
    }
  });
});
