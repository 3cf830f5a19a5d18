import { describe, expect, test } from "bun:test";
import { createCollections } from "../../../src/collections/collections.ts";
import { modelInfo } from "../../../src/embedding/open-embedder.ts";
import { openEngine } from "../engine/fixtures.ts";
import { problemOf } from "../problems/problem-of.ts";
import { withVector } from "../store/fixtures.ts";

const STATIC = modelInfo("static-256");

async function open() {
  const { store, engines, engine, ...rest } = await openEngine();
  const collections = createCollections({ store, engines, defaultModel: "static-256" });
  return { ...rest, store, engine, collections };
}

describe("a new collection", () => {
  test("has the default model and what is best for it", async () => {
    await using opened = await open();
    expect(await opened.collections.create({ name: "rules" })).toMatchObject({
      name: "rules",
      model: "static-256",
      dimensions: 256,
      metric: "cosine",
      chunking: { strategy: "auto", tokens_max: 256, tokens_overlap: 0 },
      fusion: { method: "weighted", weight: STATIC.hybridWeight },
      documents: 0,
      chunks: 0,
      pending_embeddings: 0,
      aliases: [],
    });
    expect((await opened.collections.require("rules")).modelSha256).toBe(STATIC.sha256);
  });

  test("has what it was asked to have", async () => {
    await using opened = await open();
    const input = {
      name: "rules",
      model: "all-MiniLM-L6-v2",
      dimensions: 384,
      chunking: { tokens_max: 64, tokens_overlap: 32 },
      fusion: { method: "rrf" as const, weight: 0.9 },
    };
    expect(await opened.collections.create(input)).toMatchObject({
      model: "all-MiniLM-L6-v2",
      chunking: { strategy: "auto", tokens_max: 64, tokens_overlap: 32 },
      fusion: { method: "rrf", weight: 0.9 },
    });
  });

  test("without a model has the caller's dimensions and takes vectors at once", async () => {
    await using opened = await open();
    const { collections, store, engine } = opened;
    const state = await collections.create({ name: "own", model: "none", dimensions: 2 });
    expect(state).toMatchObject({ model: "none", dimensions: 2, chunking: { strategy: "none" } });
    const row = await collections.require("own");
    expect(row.modelSha256).toBeNull();
    await store.writeDocuments(row.key, [withVector("a", [1, 0])]);
    await engine.reach(row);
    expect(engine.vectorsOf(row)).toBe(1);
  });

  test.each([
    ["no model and no dimensions", { model: "none" }, "invalid_request", "/dimensions"],
    [
      "dimensions that are not the model's",
      { dimensions: 384 },
      "dimensions_mismatch",
      "/dimensions",
    ],
    ["a model that is not installed", { model: "gpt-9" }, "unknown_model", undefined],
    [
      "chunks that overlap by more than half",
      { chunking: { tokens_max: 64, tokens_overlap: 33 } },
      "invalid_request",
      "/chunking/tokens_overlap",
    ],
  ] as const)("cannot have %s", async (...[, input, code, field]) => {
    await using opened = await open();
    const problem = await problemOf(() => opened.collections.create({ name: "x", ...input }));
    expect([problem.code, problem.errors[0]?.field]).toEqual([code, field]);
    expect(await opened.store.collections()).toEqual([]);
  });

  test("cannot have a name that a collection or an alias has", async () => {
    await using opened = await open();
    const { collections } = opened;
    await collections.create({ name: "rules" });
    await collections.putAlias("live", "rules");
    for (const name of ["rules", "live"])
      expect((await problemOf(() => collections.create({ name }))).code).toBe("name_taken");
  });
});

describe("collections", () => {
  test("are listed by name, page by page", async () => {
    await using opened = await open();
    const { collections } = opened;
    for (const name of ["b", "a", "C", "d"])
      await collections.create({ name, model: "none", dimensions: 2 });
    const names = async (after: string, limit: number) =>
      (await collections.list({ limit, after })).map(({ name }) => name);
    expect(await names("", 3)).toEqual(["C", "a", "b"]);
    expect(await names("b", 3)).toEqual(["d"]);
  });

  test("keep the parts of their fusion that a change does not name", async () => {
    await using opened = await open();
    const { collections } = opened;
    await collections.create({ name: "rules" });
    const row = await collections.require("rules");
    const changed = await collections.setFusion(row, { method: "rrf" });
    expect(changed.fusion).toEqual({ method: "rrf", weight: STATIC.hybridWeight });
    const same = await collections.setFusion(await collections.require("rules"), undefined);
    expect(same.fusion).toEqual(changed.fusion);
  });

  test("that are dropped are gone with their aliases and vectors, and their name is free", async () => {
    await using opened = await open();
    const { collections, store, engine } = opened;
    await collections.create({ name: "own", model: "none", dimensions: 2 });
    await collections.putAlias("live", "own");
    const row = await collections.require("live");
    await store.writeDocuments(row.key, [withVector("a", [1, 0])]);
    await collections.drop(row);
    for (const name of ["own", "live"])
      expect((await problemOf(() => collections.require(name))).code).toBe("collection_not_found");
    expect(engine.indexReports()).toEqual([]);
    const fresh = await collections.create({ name: "own", model: "none", dimensions: 3 });
    expect(fresh).toMatchObject({ dimensions: 3, documents: 0, aliases: [] });
  });
});

describe("an alias", () => {
  test("points at one collection and can be pointed at another", async () => {
    await using opened = await open();
    const { collections } = opened;
    for (const name of ["v1", "v2"]) await collections.create({ name });
    expect(await collections.putAlias("live", "v1")).toEqual({ name: "live", collection: "v1" });
    await collections.putAlias("live", "v2");
    expect((await collections.require("live")).name).toBe("v2");
    expect(await collections.aliases()).toEqual([{ name: "live", collection: "v2" }]);
    const [v1, v2] = await collections.list({ limit: 5, after: "" });
    expect([v1?.aliases, v2?.aliases]).toEqual([[], ["live"]]);
  });

  test("of nothing is refused, and so is removing one that is not there", async () => {
    await using opened = await open();
    const { collections } = opened;
    const put = await problemOf(() => collections.putAlias("live", "nothing"));
    expect(put.code).toBe("collection_not_found");
    const remove = await problemOf(() => collections.removeAlias("live"));
    expect(remove.code).toBe("alias_not_found");
  });

  test("that is removed leaves its collection", async () => {
    await using opened = await open();
    const { collections } = opened;
    await collections.create({ name: "v1" });
    await collections.putAlias("live", "v1");
    await collections.removeAlias("live");
    expect((await collections.require("v1")).name).toBe("v1");
    expect(await collections.aliases()).toEqual([]);
  });
});
