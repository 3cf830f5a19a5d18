import { Tokenizer } from "@huggingface/tokenizers";
import * as fc from "fast-check";
import { describe, expect, test } from "bun:test";
import golden from "../../fixtures/minilm-parity.json" with { type: "json" };
import { builtInModels, readModelFile } from "../../../src/embedding/model-files.ts";
import { textSlices } from "../../../src/embedding/text-slices.ts";
import { createTokenizer } from "../../../src/embedding/tokenizer.ts";

const CLS = 101;
const SEP = 102;
const UNKNOWN = 100;

const [model] = builtInModels;
if (model === undefined) throw new Error("there is a built-in model");
const json = await readModelFile(model.tokenizer);
const definition: object = JSON.parse(new TextDecoder().decode(json));
/** The library itself, given the whole text: what ours must agree with. */
const library = new Tokenizer(definition, {});
const wholeIds = (text: string) => library.encode(text, { add_special_tokens: false }).ids;
const tokenizer = createTokenizer(json, 256);

/** What a tokenizer that reads the whole text and cuts afterwards would give. */
const cutAfterwards = (text: string, tokensMax: number) => [
  CLS,
  ...wholeIds(text).slice(0, tokensMax - 2),
  SEP,
];

const sliceIds = (text: string) => [...textSlices(text)].flatMap((slice) => wholeIds(slice));
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => String.fromCharCode(from + index));
const words = (count: number) => "river ".repeat(count);

describe("encode", () => {
  test("gives the ids of the original tokenizer", () => {
    for (const { text, ids } of golden) {
      expect(tokenizer.encode(text)).toEqual({ ids, truncated: false, known: true });
    }
  });

  test("keeps [CLS], the first tokens and [SEP] of a text past the window, and says so", () => {
    expect(tokenizer.encode(words(254)).truncated).toBe(false);
    expect(tokenizer.encode(words(254)).ids).toHaveLength(256);
    const { ids, truncated } = tokenizer.encode(words(255));
    expect(truncated).toBe(true);
    expect(ids).toHaveLength(256);
    expect([ids[0], ids[255]]).toEqual([CLS, SEP]);
  });

  test("is not truncated by white space after the last token of the window", () => {
    expect(tokenizer.encode("river ".repeat(254) + " \n".repeat(5000)).truncated).toBe(false);
  });

  test.each([
    ["prose", "The pump's valve (no. 4) was opened at 10:30; pressure fell. ".repeat(200)],
    ["white space before and between", `${" \n\t".repeat(100_000)}a${" ".repeat(100_000)}b`],
    ["one word of 2 MB", "x".repeat(2_000_000)],
    ["over-long words", `${"lorem".repeat(60)} ipsum `.repeat(300)],
    ["a word of 20,000 letters and a mark", `the ${"lorem".repeat(4000)}! It ends. `.repeat(2)],
    ["Chinese without spaces", "今天天气很好我们去公园散步".repeat(500)],
    ["Japanese", "日本語のテキストを検索する。カタカナもひらがなも。".repeat(500)],
    ["dots and no spaces", "a.b.c:d'e".repeat(3000)],
    ["combining marks", "e\u0301\u0323o\u0308 ".repeat(2000)],
    ["Greek capitals", "ΟΔΥΣΣΕΥΣ'ΟΔΟΣ ΤΕΛΟΣ. ".repeat(500)],
    ["names of special tokens", "[CLS] a [SEP][MASK]b[PAD] [UNK]".repeat(300)],
    ["base64", Buffer.from("slipstream over the wing ".repeat(500)).toString("base64")],
    ["emoji", "🎉🚀 ".repeat(3000)],
  ])("%s: the same ids as when the whole text is read", (_, text) => {
    expect(tokenizer.encode(text).ids).toEqual(cutAfterwards(text, 256));
  });

  test("gives up on a text of over-long words after 512 characters for each token of the window", () => {
    const hostile = `${"q".repeat(4000)} `.repeat(500);
    const { ids, truncated } = tokenizer.encode(hostile);
    expect(truncated).toBe(true);
    expect(new Set(ids)).toEqual(new Set([CLS, UNKNOWN, SEP]));
    expect(ids.length).toBeLessThan(40);
  });

  test.each([
    ["nothing", ""],
    ["white space", " \n\t "],
    ["an emoji the vocabulary lacks", "🎉"],
    ["deleted characters", "\u200b\u0000\ufeff"],
    ["the names of special tokens", "[SEP] [CLS]"],
  ])("a text of %s has no known token", (_, text) => {
    expect(tokenizer.encode(text).known).toBe(false);
  });

  test.each(["\ud800", "a\udfff b", `${"x".repeat(5000)}\ud83d`])(
    "a lone surrogate is dropped",
    (text) => {
      expect(tokenizer.encode(text).ids).toEqual(cutAfterwards(text, 256));
    },
  );
});

describe("countTokens", () => {
  test("counts without [CLS] and [SEP], past the window too", () => {
    expect(tokenizer.countTokens("")).toBe(0);
    expect(tokenizer.countTokens("how do I reset my password")).toBe(6);
    expect(tokenizer.countTokens("river ".repeat(3000))).toBe(3000);
  });
});

describe("textSlices", () => {
  test("are cut after no character that ties together what stands on its two sides", () => {
    const candidates = [
      ...range(0, 0xff),
      ...range(0x2000, 0x206f),
      ...range(0x3000, 0x303f),
      ...range(0xff00, 0xff65),
    ];
    // The candidate is the 1,024th character, where a slice would end; a final sigma, a mark or a name could reach over it.
    const before = `${"a ".repeat(500)}${"b".repeat(20)} ΑΣ`;
    expect(before).toHaveLength(1023);
    for (const candidate of candidates) {
      for (const after of ["Α end", "CLS] end", "\u0301b end"]) {
        const text = before + candidate + after;
        expect(sliceIds(text)).toEqual(wholeIds(text));
      }
    }
  });

  const alphabet = [
    ...Array.from(" \n,.;:'`^[]()-_/\"!?=&#abcXYZ09ΑΣσςéßİ"),
    ...Array.from("日本語のー、。,\u0301\u0338\u200b\ufeff\u00ad\u3000\u00a0"),
    "[CLS]",
    "[SEP]",
    "\ud83c\udf89",
    "\ud800",
    "w".repeat(400),
    " ".repeat(400),
  ];

  test("have the tokens of the whole text, whatever the text", () => {
    const texts = fc.array(fc.constantFrom(...alphabet), { maxLength: 3000, size: "max" });
    fc.assert(
      fc.property(texts, (parts) => {
        const text = parts.join("");
        expect(sliceIds(text)).toEqual(wholeIds(text));
      }),
      { seed: 20_261, numRuns: 100, endOnFailure: true },
    );
  });
});
