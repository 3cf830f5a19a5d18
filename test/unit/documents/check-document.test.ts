import { describe, expect, test } from "bun:test";
import { checkDocument } from "../../../src/documents/check-document.ts";
import { limits } from "../../../src/limits.ts";
import type { ProblemCode } from "../../../src/problems.ts";
import type { CollectionRow } from "../../../src/store/store.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION } from "../store/fixtures.ts";

const OWN_VECTORS: CollectionRow = {
  ...COLLECTION,
  key: 1,
  embedAgain: "no",
  createdAt: "",
  updatedAt: "",
};
const EMBEDDED: CollectionRow = { ...OWN_VECTORS, model: "static-256", dimensions: 256 };

/** A JSON text as a request brings it, so that keys and numbers are what a parser makes of them. */
const json = (text: string): unknown => JSON.parse(text);

describe("checkDocument", () => {
  test("fills in what is missing", () => {
    expect(checkDocument({ text: "red flag" }, EMBEDDED)).toEqual({
      id: undefined,
      title: null,
      text: "red flag",
      metadata: {},
      vector: undefined,
    });
    expect(checkDocument({ title: "only a title" }, EMBEDDED).text).toBeNull();
  });

  test("brings the caller's vector to unit length", () => {
    const { vector } = checkDocument({ id: "a", vector: [0, 5] }, OWN_VECTORS);
    expect(vector).toEqual(new Float32Array([0, 1]));
  });

  const wrongShapes: [string, unknown, string][] = [
    ["no object", "text", "document"],
    ["null", null, "document"],
    ["a list", [], "document"],
    ["an unknown field", { text: "x", secret_field: 1 }, "document"],
    ["an id that is a number", { id: 1, text: "x" }, "id"],
    ["an empty id", { id: "", text: "x" }, "id"],
    ["a text that is null", { text: null }, "text"],
    ["a title that is a list", { title: [] }, "title"],
    ["metadata that is a list", { text: "x", metadata: ["secret_value"] }, "metadata"],
    ["metadata that is text", { text: "x", metadata: "secret_value" }, "metadata"],
    ["a vector of text", { vector: ["secret_value"] }, "vector"],
    [
      "a vector past every model",
      { vector: Array.from({ length: limits.dimensionsMax + 1 }, () => 1) },
      "vector",
    ],
  ];
  test.each(wrongShapes)(
    "refuses %s and names the field, never the value",
    async (_what, input, field) => {
      const problem = await problemOf(() => checkDocument(input, EMBEDDED));
      expect(problem.code).toBe("invalid_request");
      expect(problem.errors.map((error) => error.field)).toEqual([field]);
      expect(`${problem.detail} ${JSON.stringify(problem.errors)}`).not.toContain("secret");
    },
  );

  const refused: [string, unknown, ProblemCode][] = [
    ["a text past its bytes", { text: "é".repeat(limits.textBytesMax / 2 + 1) }, "too_large"],
    ["a title past its bytes", { title: "é".repeat(limits.titleBytesMax / 2 + 1) }, "too_large"],
    [
      "an id past its bytes",
      { id: "é".repeat(limits.documentIdBytesMax / 2 + 1), text: "x" },
      "too_large",
    ],
    [
      "metadata past its bytes",
      { text: "x", metadata: { note: "x".repeat(limits.metadataBytesMax) } },
      "too_large",
    ],
    ["a lone surrogate in the text", { text: "a\ud800b" }, "invalid_text"],
    ["a NUL in the title", { title: "a\0b", text: "x" }, "invalid_text"],
    ["a NUL in the id", { id: "a\0b", text: "x" }, "invalid_text"],
    [
      "a lone surrogate in metadata",
      { text: "x", metadata: { a: [{ b: "\udfff" }] } },
      "invalid_text",
    ],
    [
      "a lone surrogate in a key of metadata",
      { text: "x", metadata: { "\ud83c": 1 } },
      "invalid_text",
    ],
    ["a NUL in metadata", { text: "x", metadata: { a: "\0" } }, "invalid_text"],
    ["a NUL after a backslash in metadata", { text: "x", metadata: { a: "\\\0" } }, "invalid_text"],
    [
      "a number past all numbers in metadata",
      json('{"text":"x","metadata":{"a":[1e999]}}'),
      "invalid_request",
    ],
    ["neither title nor text", { metadata: { a: 1 } }, "empty_text"],
    ["a blank title and a blank text", { title: " ", text: "\n\t" }, "empty_text"],
    ["a vector where a model embeds", { text: "x", vector: [1] }, "vector_not_accepted"],
  ];
  test.each(refused)("refuses %s", async (_what, input, code) => {
    const problem = await problemOf(() => checkDocument(input, EMBEDDED));
    expect(problem.code).toBe(code);
  });

  const wrongVectors: [string, unknown, ProblemCode][] = [
    ["no vector", { text: "x" }, "vector_required"],
    ["another length", { vector: [1, 2, 3] }, "dimensions_mismatch"],
    ["zeros", { vector: [0, 0] }, "invalid_vector"],
    ["a number past float32", { vector: [1e39, 1] }, "invalid_vector"],
    ["a number past all numbers", json('{"vector":[1e999,1]}'), "invalid_request"],
  ];
  test.each(wrongVectors)(
    "refuses %s where vectors are the caller's",
    async (_what, input, code) => {
      const problem = await problemOf(() => checkDocument(input, OWN_VECTORS));
      expect(problem.code).toBe(code);
    },
  );

  test("takes what is just allowed", () => {
    const largest = {
      id: "x".repeat(limits.documentIdBytesMax),
      title: "é".repeat(limits.titleBytesMax / 2),
      text: "x".repeat(limits.textBytesMax),
      metadata: { a: "x".repeat(limits.metadataBytesMax - '{"a":""}'.length) },
    };
    expect(checkDocument(largest, EMBEDDED).id).toBe(largest.id);
  });

  test("takes metadata that only looks like a lone surrogate or a NUL", () => {
    const metadata = { path: "\\u0000", code: "\\ud800", pair: "🏁", both: "\\\\ud800" };
    expect(checkDocument({ text: "x", metadata }, EMBEDDED).metadata).toEqual(metadata);
  });

  test("keeps a key that objects have of themselves", () => {
    const input = json('{"text":"x","metadata":{"__proto__":{"a":1},"constructor":2}}');
    const { metadata } = checkDocument(input, EMBEDDED);
    expect(JSON.stringify(metadata)).toBe('{"__proto__":{"a":1},"constructor":2}');
  });
});
