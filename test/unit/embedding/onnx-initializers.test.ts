import { describe, expect, test } from "bun:test";
import { readInitializers } from "../../../src/embedding/onnx-initializers.ts";
import { Problem } from "../../../src/problems.ts";

/** ModelProto { ir_version: 8, graph { initializer { dims: 2, dims: 1, data_type: 3, name: "emb", raw_data: 05 fb } } } */
const TENSOR = [0x08, 2, 0x08, 1, 0x10, 3, 0x42, 3, 0x65, 0x6d, 0x62, 0x4a, 2, 0x05, 0xfb];
const MODEL = Uint8Array.from([0x08, 8, 0x3a, 17, 0x2a, 15, ...TENSOR]);

describe("readInitializers", () => {
  test("finds the tensors of the graph by name", () => {
    expect(readInitializers(MODEL)).toEqual(
      new Map([["emb", { dims: [2, 1], dataType: 3, raw: Uint8Array.of(0x05, 0xfb) }]]),
    );
  });

  test("reads packed dimensions and skips fixed-width fields", () => {
    const tensor = [0x0a, 2, 2, 1, 0x55, 1, 2, 3, 4, 0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x42, 1, 0x61];
    const model = Uint8Array.from([0x3a, tensor.length + 2, 0x2a, tensor.length, ...tensor]);
    expect(readInitializers(model).get("a")?.dims).toEqual([2, 1]);
  });

  test("refuses every proper prefix that ends inside a field", () => {
    for (let length = 3; length < MODEL.length; length++) {
      expect(() => readInitializers(MODEL.subarray(0, length))).toThrow(Problem);
    }
  });

  test.each([
    ["a length past the end", [0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["a number that does not end", Array.from({ length: 20 }, () => 0xff)],
    ["a group, which onnx.proto has not", [0x0b, 0x0c]],
  ])("refuses %s", (_, bytes) => {
    expect(() => readInitializers(Uint8Array.from(bytes))).toThrow(Problem);
  });
});
