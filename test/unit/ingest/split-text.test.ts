import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { splitText } from "../../../src/ingest/split-text.ts";

describe("splitText", () => {
  test("the parts tile the text, none is empty and none is past the bound", () => {
    const piece = fc.constantFrom("\n", "\n\n", " ", "a", "word", "é", "漢", "😀", "\ud83d");
    const text = fc.array(piece, { maxLength: 300 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(text, fc.integer({ min: 4, max: 64 }), (whole, bytesMax) => {
        const parts = splitText(whole, bytesMax);
        expect(parts.join("")).toBe(whole);
        expect(parts.every((part) => part !== "")).toBe(true);
        expect(parts.every((part) => Buffer.byteLength(part) <= bytesMax)).toBe(true);
      }),
      { seed: 20_240_607, numRuns: 500 },
    );
  });

  test("cuts behind a blank line before a line end, and there before a space", () => {
    expect(splitText("aaaaaa\n\nb\nc dd", 12)).toEqual(["aaaaaa\n\n", "b\nc dd"]);
    expect(splitText("a b c\nd e f", 9)).toEqual(["a b c\n", "d e f"]);
    expect(splitText("aa bb cc", 7)).toEqual(["aa bb ", "cc"]);
    expect(splitText("aaaaaaaa", 5)).toEqual(["aaaaa", "aaa"]);
  });

  test("never parts a surrogate pair", () => {
    expect(splitText("😀😀😀", 9)).toEqual(["😀😀", "😀"]);
  });
});
