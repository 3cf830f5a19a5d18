import { afterAll, describe, expect, test } from "bun:test";
import type { SearchMode, SearchRequest } from "../../../src/contract/search.ts";
import { limits } from "../../../src/limits.ts";
import type { ProblemCode } from "../../../src/problems.ts";
import { createDocumentKeys } from "../../../src/search/document-keys.ts";
import { planSearch } from "../../../src/search/plan.ts";
import type { CollectionRow } from "../../../src/store/store.ts";
import { openEngine } from "../engine/fixtures.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION } from "../store/fixtures.ts";

const opened = await openEngine();
afterAll(() => opened[Symbol.asyncDispose]());
const OWN_VECTORS = await opened.store.createCollection(COLLECTION);
const EMBEDDED = await opened.store.createCollection({
  ...COLLECTION,
  name: "embedded",
  model: "static-256",
  modelSha256: "0",
  dimensions: 256,
  fusion: { method: "rrf", weight: 0.3 },
});
for (const collection of [OWN_VECTORS, EMBEDDED]) await opened.engine.openCollection(collection);
const documentKeys = createDocumentKeys(opened.store);
const OPTIONS = { store: opened.store, engine: opened.engine, documentKeys, kDefault: 10 };

describe("planSearch", () => {
  test("fills in every default", () => {
    const { keyword, ...plan } = planSearch({ query: "red flags" }, EMBEDDED, OPTIONS);
    expect(keyword?.terms).toEqual(["red", "flags"]);
    expect(plan).toEqual({
      collection: EMBEDDED,
      mode: "hybrid",
      encoder: "full",
      query: "red flags",
      vector: undefined,
      k: 10,
      offset: 0,
      filter: undefined,
      fusion: { method: "rrf", weight: 0.3 },
      minScore: -Infinity,
      groupBy: "document",
      highlight: false,
      fields: new Set(["title", "text", "metadata"]),
      facets: [],
      explain: false,
    });
  });

  test("keeps the collection's weight where a search names only the method", () => {
    const request: SearchRequest = { query: "x", fusion: { method: "weighted" } };
    expect(planSearch(request, EMBEDDED, OPTIONS).fusion).toEqual({
      method: "weighted",
      weight: 0.3,
    });
  });

  const modes: [string, CollectionRow, SearchRequest, SearchMode][] = [
    ["words, with a model", EMBEDDED, { query: "x" }, "hybrid"],
    ["words and a mode", EMBEDDED, { query: "x", mode: "semantic" }, "semantic"],
    ["words, without a model", OWN_VECTORS, { query: "x" }, "keyword"],
    ["a vector", OWN_VECTORS, { vector: [3, 4] }, "semantic"],
    ["words and a vector", OWN_VECTORS, { query: "x", vector: [3, 4] }, "hybrid"],
  ];
  test.each(modes)("given %s, takes the mode that fits", (...[, collection, request, mode]) => {
    expect(planSearch(request, collection, OPTIONS).mode).toBe(mode);
  });

  test("brings a vector to unit length", () => {
    const { vector } = planSearch({ vector: [3, 4] }, OWN_VECTORS, OPTIONS);
    expect([...(vector ?? [])]).toEqual([Math.fround(0.6), Math.fround(0.8)]);
  });

  test("reads no words where only meaning counts", () => {
    const request: SearchRequest = { query: "red flags", mode: "semantic" };
    expect(planSearch(request, EMBEDDED, OPTIONS).keyword).toBeUndefined();
  });

  const refused: [string, CollectionRow, SearchRequest, ProblemCode][] = [
    ["nothing at all", EMBEDDED, {}, "empty_text"],
    ["blank words", EMBEDDED, { query: " \n" }, "empty_text"],
    ["a lone surrogate", EMBEDDED, { query: "a\udc00" }, "invalid_text"],
    ["too many bytes", EMBEDDED, { query: "é".repeat(limits.queryBytesMax / 2 + 1) }, "too_large"],
    ["a vector where a model embeds", EMBEDDED, { vector: [1] }, "vector_not_accepted"],
    [
      "a vector without words, by keyword",
      OWN_VECTORS,
      { vector: [1, 0], mode: "keyword" },
      "empty_text",
    ],
    [
      "a vector without words, by both",
      OWN_VECTORS,
      { vector: [1, 0], mode: "hybrid" },
      "empty_text",
    ],
    [
      "words by meaning without a model",
      OWN_VECTORS,
      { query: "x", mode: "semantic" },
      "vector_required",
    ],
    [
      "words by both without a model",
      OWN_VECTORS,
      { query: "x", mode: "hybrid" },
      "vector_required",
    ],
    ["too few numbers", OWN_VECTORS, { vector: [1] }, "dimensions_mismatch"],
    ["no direction", OWN_VECTORS, { vector: [0, -0] }, "invalid_vector"],
    ["no number", OWN_VECTORS, { vector: [NaN, 1] }, "invalid_vector"],
    ["a number past float32", OWN_VECTORS, { vector: [1e300, 1] }, "invalid_vector"],
    ["a number below float32", OWN_VECTORS, { vector: [1e-300, 0] }, "invalid_vector"],
    [
      "an unknown operator",
      EMBEDDED,
      { query: "x", filter: { lap: { $near: 1 } } },
      "invalid_filter",
    ],
    ["a facet without a name", EMBEDDED, { query: "x", facets: [""] }, "invalid_filter"],
  ];
  test.each(refused)("refuses %s", async (...[, collection, request, code]) => {
    expect((await problemOf(() => planSearch(request, collection, OPTIONS))).code).toBe(code);
  });

  test("takes the longest query", () => {
    const query = "x".repeat(limits.queryBytesMax);
    expect(planSearch({ query }, EMBEDDED, OPTIONS).query).toBe(query);
  });
});
