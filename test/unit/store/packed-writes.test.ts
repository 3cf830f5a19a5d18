import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { packWrites, unpackWrites } from "../../../src/store/local/packed-writes.ts";
import type { WriterCall } from "../../../src/store/local/writer-messages.ts";
import type { DocumentWrite } from "../../../src/store/store.ts";
import { withVector, written } from "./fixtures.ts";

function call(id: number, documents: readonly DocumentWrite[]): WriterCall<unknown> {
  return { id, method: "writeDocuments", values: [7, documents] };
}

describe("calls that write documents, packed", () => {
  test("are the same when they are unpacked", () => {
    const calls = [
      call(1, [withVector("a", [1, 2, 3]), withVector("b", [4])]),
      call(2, []),
      call(3, [written("c", "Ümläute, 🙂 and\u2028lines", { nested: { list: [1, "x", null] } })]),
      call(4, [withVector("a", [-0.5, 0.25])]),
    ];
    const packed = packWrites(calls);
    expect(packed?.vectors).toHaveLength(6);
    const unpacked: unknown = packed && unpackWrites(packed);
    expect(unpacked).toEqual(calls);
  });

  test("are not where one does something else, or has a long text", () => {
    const short = call(1, [written("a", "x".repeat(limits.packedTextCharactersMax))]);
    const long = call(2, [written("b", "x".repeat(limits.packedTextCharactersMax + 1))]);
    const other: WriterCall<unknown> = { id: 3, method: "deleteDocuments", values: [7, ["a"]] };
    expect(packWrites([short])).toBeDefined();
    expect(packWrites([short, long])).toBeUndefined();
    expect(packWrites([short, other])).toBeUndefined();
  });
});
