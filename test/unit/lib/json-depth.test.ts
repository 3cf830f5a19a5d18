import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isDeeperThan } from "../../../src/lib/json-depth.ts";
import { encodeUtf8 } from "../../../src/lib/text.ts";

const deeper = (text: string, depthMax: number): boolean =>
  isDeeperThan(encodeUtf8(text), depthMax);

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe("isDeeperThan", () => {
  test("counts lists and objects alike", () => {
    expect(deeper("[[]]", 2)).toBe(false);
    expect(deeper("[[]]", 1)).toBe(true);
    expect(deeper('{"a":[{"b":1}]}', 3)).toBe(false);
    expect(deeper('{"a":[{"b":1}]}', 2)).toBe(true);
    expect(deeper("[[],[],[]]", 2)).toBe(false);
    expect(deeper("7", 0)).toBe(false);
    expect(deeper("", 0)).toBe(false);
  });

  test.each([
    ["brackets in text", '["[[[[{{{{"]'],
    ["a quote in text", '["\\"[[[["]'],
    ["a backslash at the end of text", '["\\\\",["[["]]'],
    ["an escaped bracket's code", '["\\u005b\\u005b"]'],
    ["a key of brackets", '{"[[[":"]]]"}'],
    ["letters of several bytes", '["é🏁[[["]'],
  ])("does not count %s", (_what, text) => {
    expect(JSON.parse(text)).toBeDefined();
    expect(deeper(text, 2)).toBe(false);
    expect(deeper(`[[${text}]]`, depthOf(JSON.parse(text)) + 1)).toBe(true);
  });

  test("agrees with a parser on any JSON, however it is laid out", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 2), (value, indent) => {
        const depth = depthOf(value);
        const text = JSON.stringify(value, null, indent);
        expect(deeper(text, depth)).toBe(false);
        expect(depth > 0 && !deeper(text, depth - 1)).toBe(false);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  test("reads text that is no JSON to its end without failing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        expect(typeof isDeeperThan(bytes, 3)).toBe("boolean");
      }),
      { seed: 12, numRuns: 200 },
    );
    expect(deeper('["\\', 1)).toBe(false);
    expect(deeper("[".repeat(1_000_000), 32)).toBe(true);
  });
});
