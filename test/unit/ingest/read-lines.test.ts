import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readLines } from "../../../src/ingest/read-lines.ts";

/** The text's bytes in pieces of this length, as a stream may bring them. */
async function* pieces(text: string, bytes: number): AsyncIterable<Uint8Array> {
  const all = Buffer.from(text);
  for (let start = 0; start < all.length; start += bytes) yield all.subarray(start, start + bytes);
}

describe("readLines", () => {
  test("gives the same lines wherever the stream is parted, and only numbers of those too long", async () => {
    const text = fc
      .array(fc.constantFrom("a", "bc", "\n", "\r\n", "\r", "é"), { maxLength: 40 })
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 8 }), async (whole, bytes) => {
        const lines = await Array.fromAsync(readLines(pieces(whole, bytes), 5), (line) => ({
          number: line.number,
          text: line.bytes && Buffer.from(line.bytes).toString(),
        }));
        const split = whole.split("\n").map((content) => content.replace(/\r$/, ""));
        if (whole.endsWith("\n") || whole === "") split.pop();
        const wanted = split.map((content, index) => ({
          number: index + 1,
          text: Buffer.byteLength(content) > 5 ? undefined : content,
        }));
        expect(lines).toEqual(wanted);
      }),
      { seed: 20_240_608, numRuns: 300 },
    );
  });
});
