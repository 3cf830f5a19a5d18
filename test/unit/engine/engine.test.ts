import { describe, expect, test } from "bun:test";
import { checkVector } from "../../../src/engine/check-vector.ts";
import { Engine, requireSameWeights } from "../../../src/engine/engine.ts";
import { Indexes } from "../../../src/engine/indexes.ts";
import { engineOptions } from "../../support/engine.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, withVector, written } from "../store/fixtures.ts";
import { EMBEDDED, openEngine, openStore, SOON_MS } from "./fixtures.ts";

const soon = (): AbortSignal => AbortSignal.timeout(SOON_MS);
const X = new Float32Array([1, 0]);

describe("Engine", () => {
  test("finds a document by meaning once it is caught up, and after a restart", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const options = engineOptions(opened.path);
    const collection = await store.createCollection(EMBEDDED);
    const best = async (engine: Engine): Promise<string | undefined> => {
      const vector = await engine.embedQuery(collection, "a car in the rain");
      if (vector === undefined) throw new Error("the model knows these words");
      const [nearest] = engine.nearest(collection, { vector, k: 1 });
      return (await store.hits([nearest?.key ?? 0])).get(nearest?.key ?? 0)?.id;
    };
    {
      await using engine = await Engine.open(store, options);
      await store.writeDocuments(collection.key, [
        written("weather", "wet cars on a rainy track"),
        written("food", "lunch is served in the tent"),
      ]);
      await engine.caughtUp(soon());
      expect(await best(engine)).toBe("weather");
    }
    await using engine = await Engine.open(store, options);
    expect(engine.vectors).toBe(2);
    expect(await best(engine)).toBe("weather");
  });

  test("embeds many texts as it embeds each alone", async () => {
    await using opened = await openEngine();
    const { engine } = opened;
    const info = engine.model("static-256");
    const texts = Array.from({ length: 40 }, (_, index) => `text number ${index}`);
    const alone = await Promise.all(texts.map((text) => engine.embed(info, [text])));
    expect(await engine.embed(info, texts)).toEqual(alone.flat());
    expect(await engine.embed(info, [])).toEqual([]);
  });

  test("counts tokens, and knows the installed models only", async () => {
    await using opened = await openEngine();
    const { engine } = opened;
    expect((await engine.tokenCounter("static-256"))("how do I reset my password")).toBe(6);
    expect(engine.models().map(({ name }) => name)).toEqual(["all-MiniLM-L6-v2", "static-256"]);
    expect((await problemOf(() => engine.tokenCounter("gpt-9"))).code).toBe("unknown_model");
    expect((await problemOf(() => engine.model("gpt-9"))).code).toBe("unknown_model");
  });

  test("refuses to query a collection that other weights embedded", async () => {
    await using opened = await openEngine();
    const { engine, store } = opened;
    const other = await store.createCollection({ ...EMBEDDED, modelSha256: "0".repeat(64) });
    const problem = await problemOf(() => engine.embedQuery(other, "text"));
    expect(problem.code).toBe("model_mismatch");
    expect(problem.detail).toContain("static-256");
    expect(() => requireSameWeights({ ...other, modelSha256: EMBEDDED.modelSha256 })).not.toThrow();
    expect(() => requireSameWeights({ ...other, model: "none", modelSha256: null })).not.toThrow();
  });

  test("adds no vectors of the weights that are installed to a collection of other weights", async () => {
    await using opened = await openEngine();
    const { engine, store } = opened;
    const other = await store.createCollection({ ...EMBEDDED, modelSha256: "0".repeat(64) });
    const same = await store.createCollection({ ...EMBEDDED, name: "same" });
    for (const one of [other, same]) await engine.openCollection(one);
    await store.writeDocuments(other.key, [written("a", "text")]);
    await store.writeDocuments(same.key, [written("a", "text")]);
    await engine.caughtUp(soon());
    expect(engine.vectorsOf(same)).toBe(1);
    expect(engine.vectorsOf(other)).toBe(0);
  });

  test("stops while documents wait for their vectors", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const options = engineOptions(opened.path);
    const { key } = await store.createCollection(EMBEDDED);
    const many = Array.from({ length: 100 }, (_, index) => written(`d${index}`, `text ${index}`));
    {
      await using _engine = await Engine.open(store, { ...options, children: 1 });
      await store.writeDocuments(key, many);
    }
    const left = await store.pendingTotal();
    await using engine = await Engine.open(store, options);
    await store.writeDocuments(key, [written("last", "text")]);
    await engine.caughtUp(soon());
    expect(left).toBeGreaterThan(0);
    expect(await store.pendingTotal()).toBe(0);
    expect(engine.vectors).toBe(101);
  });
});

describe("the vector index of a collection", () => {
  const search = { vector: X, k: 10 };

  test("follows every commit: insert, replace, delete", async () => {
    await using opened = await openEngine();
    const { engine, store } = opened;
    const collection = await store.createCollection(COLLECTION);
    await engine.openCollection(collection);
    const { key } = collection;
    await store.writeDocuments(key, [withVector("a", [1, 0]), withVector("b", [0, 1])]);
    expect(engine.nearest(collection, search).map(({ score }) => score)).toEqual([1, 0]);
    await store.writeDocuments(key, [withVector("b", [1, 0])]);
    expect(engine.nearest(collection, search).map(({ score }) => score)).toEqual([1, 1]);
    await store.deleteDocuments(key, ["a", "b"]);
    expect(engine.nearest(collection, search)).toEqual([]);
    expect(engine.vectors).toBe(0);
  });

  test("holds one vector for a document that came twice in one batch, the last one", async () => {
    await using opened = await openEngine();
    const { engine, store } = opened;
    const collection = await store.createCollection(COLLECTION);
    await engine.openCollection(collection);
    await store.writeDocuments(collection.key, [withVector("a", [1, 0]), withVector("a", [0, 1])]);
    expect(engine.nearest(collection, search).map(({ score }) => score)).toEqual([0]);
  });

  test("is the collection's own", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const one = await store.createCollection(COLLECTION);
    const other = await store.createCollection({ ...COLLECTION, name: "other", dimensions: 3 });
    await store.writeDocuments(one.key, [withVector("a", [1, 0])]);
    await store.writeDocuments(other.key, [withVector("a", [0, 0, 1])]);
    const options = { ...engineOptions(opened.path), words: true, run: undefined };
    await using indexes = new Indexes(store, options);
    for (const collection of [one, other]) await (await indexes.open(collection)).ready;
    expect(indexes.of(one.key).nearest({ vector: X, k: 9 })).toHaveLength(1);
    expect(indexes.of(other.key).nearest({ vector: new Float32Array(3), k: 9 })).toHaveLength(1);
    await indexes.drop(one.key);
    expect(indexes.vectors).toBe(1);
    expect(() => indexes.of(one.key)).toThrow();
    indexes.apply({
      collectionKey: one.key,
      sequence: 9,
      indexSequence: 9,
      documents: [],
      texts: [],
      chunksRemoved: [1],
      vectors: [{ key: 1, vector: X }],
      chunksAdded: 0,
      chunksPending: 0,
      chunkKeyLast: 0,
    });
    expect(indexes.vectors).toBe(1);
  });
});

describe("checkVector", () => {
  test("brings a vector of any size to unit length", () => {
    for (const scale of [1e-25, 1, 1e18]) {
      const [x, y] = checkVector([3 * scale, -4 * scale], 2);
      expect(x).toBeCloseTo(0.6, 6);
      expect(y).toBeCloseTo(-0.8, 6);
    }
  });

  test.each([
    [[1], "dimensions_mismatch"],
    [[1, 2, 3], "dimensions_mismatch"],
    [[], "dimensions_mismatch"],
    [[0, 0], "invalid_vector"],
    [[1e-40, 0], "invalid_vector"],
    [[NaN, 1], "invalid_vector"],
    [[1, Infinity], "invalid_vector"],
    [[1e39, 0], "invalid_vector"],
  ] as const)("refuses %j", async (numbers, code) => {
    expect((await problemOf(() => checkVector(numbers, 2))).code).toBe(code);
  });
});
