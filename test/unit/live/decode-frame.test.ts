import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeFrame } from "../../../src/live/decode-frame.ts";

describe("a frame", () => {
  test("of any text is a request or a refusal, and nothing is thrown", () => {
    const value = fc.anything({ withNullPrototype: true });
    const object = fc.record(
      {
        type: fc.constantFrom("publish", "subscribe", "search", "history", "ping", "x"),
        id: value,
        room: value,
        data: value,
        query: value,
      },
      { requiredKeys: ["type"] },
    );
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      object.map((one) => JSON.stringify(one, plain)),
    );
    fc.assert(
      fc.property(text, (frame) => {
        const decoded = decodeFrame(frame);
        if (!decoded.ok) expect(decoded.message).not.toBe("");
      }),
      { seed: 20_261, numRuns: 2000 },
    );
  });

  test("with fields that are not known is taken", () => {
    const decoded = decodeFrame('{"type":"presence","id":"a","room":"r","later":{"version":2}}');
    expect(decoded).toMatchObject({ ok: true, request: { type: "presence", room: "r" } });
  });

  test("of 32 levels is taken and one of 33 is not", () => {
    expect(decodeFrame(nested(31)).ok).toBe(true);
    expect(decodeFrame(nested(32)).ok).toBe(false);
  });

  test("names a few wrong fields and never their values", () => {
    const decoded = decodeFrame(
      '{"type":"search","id":"a","query":5,"collection":"a secret","limit":"secret","stream":1}',
    );
    if (decoded.ok) throw new Error("it is refused");
    expect(decoded.errors.map(({ field }) => field)).toEqual([
      "/collection",
      "/query",
      "/limit",
      "/stream",
    ]);
    expect(JSON.stringify(decoded)).not.toContain("secret");
  });
});

/** A publication of lists in lists. */
function nested(depth: number): string {
  return `{"type":"publish","id":"a","room":"r","data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
}

/** Big numbers and symbols, which JSON has none of. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" || typeof value === "symbol" ? String(value) : value;
}
