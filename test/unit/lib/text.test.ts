import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8, utf8Bytes } from "../../../src/lib/text.ts";

describe("UTF-8", () => {
  test("decode after encode is the text itself, and its length is known without encoding", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }).filter((text) => !text.startsWith("\ufeff")),
        (text) => {
          const bytes = encodeUtf8(text);
          expect(decodeUtf8(bytes)).toBe(text);
          expect(utf8Bytes(text)).toBe(bytes.byteLength);
        },
      ),
      { seed: 13, numRuns: 300 },
    );
  });

  test("a byte order mark at the start is left out, one further on is text", () => {
    expect(decodeUtf8(encodeUtf8("\ufeffa\ufeff"))).toBe("a\ufeff");
  });

  test.each([
    ["a byte that never occurs", [0xff]],
    ["a cut letter", [0xe2, 0x82]],
    ["an overlong form", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a code past Unicode", [0xf4, 0x90, 0x80, 0x80]],
  ])("%s is no text", (_what, bytes) => {
    expect(decodeUtf8(new Uint8Array(bytes))).toBeUndefined();
  });
});
