import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeFrame } from "../../client/src/frames.ts";

test("a frame with what it needs is taken, with whatever else it has", () => {
  const text = '{"type":"caught_up","sub":"r:news","offset":4,"later":true}';
  expect(JSON.stringify(decodeFrame(text))).toBe(text);
});

test("binary, broken JSON, unknown types and frames without what they need are none", () => {
  const wrong = [
    new ArrayBuffer(2),
    "{",
    "null",
    "[]",
    "7",
    '{"type":"novelty"}',
    '{"type":"toString"}',
    '{"type":"message","sub":"r:news","ts":"now"}',
    '{"type":"caught_up","sub":"r:news","offset":"4"}',
    '{"type":"welcome","heartbeat":null,"limits":{}}',
  ];
  expect(wrong.map((data) => decodeFrame(data))).toEqual(wrong.map(() => undefined));
});

test("no text makes the decoder throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      decodeFrame(text);
    }),
    { seed: 20_260_102 },
  );
});
