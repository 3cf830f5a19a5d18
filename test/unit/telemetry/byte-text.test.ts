import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ByteText } from "../../../src/telemetry/byte-text.ts";
import { randomHex } from "../../../src/telemetry/trace-ids.ts";

const decoded = (text: ByteText): string => new TextDecoder().decode(text.written());

describe("text in bytes", () => {
  test("is what was written, of any kind, however much that is", () => {
    const piece = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => ({ kind: "text", text })),
      fc.stringMatching(/^[ -~]{0,40}$/).map((text) => ({ kind: "ascii", text })),
      fc.stringMatching(/^[ -~]{0,40}$/).map((text) => ({ kind: "bytes", text })),
    );
    const text = new ByteText(1);
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 50 }), (pieces) => {
        text.clear();
        for (const one of pieces) {
          if (one.kind === "text") text.text(one.text);
          else if (one.kind === "ascii") text.ascii(one.text);
          else text.bytes(new TextEncoder().encode(one.text));
        }
        expect(decoded(text)).toBe(pieces.map((one) => one.text).join(""));
        expect(text.length).toBe(text.written().length);
      }),
      { seed: 7 },
    );
  });

  test("takes numbers of sixteen digits, with their zeros, and parts of texts over what is there", () => {
    const text = new ByteText(8);
    const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(number, (any) => {
        text.clear();
        text.ascii("<................>");
        text.digitsAt(1, any);
        expect(decoded(text)).toBe(`<${String(any).padStart(16, "0")}>`);
      }),
      { seed: 7 },
    );
    text.partAt(1, "00-abcd-01", { from: 3, to: 7 });
    expect(decoded(text)).toStartWith("<abcd");
  });
});

test("ids are lower-case hex of their length, and none comes twice", () => {
  const ids = Array.from({ length: 5000 }, (_, at) => randomHex(at % 2 === 0 ? 32 : 16));
  expect(
    ids.every((id, at) => /^[0-9a-f]+$/.test(id) && id.length === (at % 2 === 0 ? 32 : 16)),
  ).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
});
