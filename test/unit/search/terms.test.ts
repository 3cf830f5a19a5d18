import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { queryPhrases, queryTerms } from "../../../src/search/terms.ts";

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

describe("queryPhrases", () => {
  test("gives what stands between double quotes, where it has words", () => {
    expect(queryPhrases('the "red flag" and “Formation Lap” of "" or "?!" and "left')).toEqual([
      "red flag",
      "Formation Lap",
    ]);
    expect(queryPhrases("no quotes")).toEqual([]);
  });

  test("is bounded", () => {
    expect(queryPhrases('"a" '.repeat(500))).toHaveLength(limits.keywordTermsMax);
  });
});
