import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkVector } from "../../../src/engine/check-vector.ts";
import {
  type Engine,
  findModel,
  installedModels,
  requireSameWeights,
} from "../../../src/engine/engine.ts";
import { openLocalEngines } from "../../../src/engine/engines.ts";
import { Indexes } from "../../../src/engine/indexes.ts";
import { limits } from "../../../src/limits.ts";
import { base64Of } from "../../support/base64.ts";
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
      await engine.reach(collection);
      const vector = await engine.embedQuery(collection, "a car in the rain");
      if (vector === undefined) throw new Error("the model knows these words");
      const [nearest] = engine.nearest(collection, { vector, k: 1 });
      return (await store.hits([nearest?.key ?? 0])).get(nearest?.key ?? 0)?.id;
    };
    {
      await using engines = await openLocalEngines(store, options);
      await store.writeDocuments(collection.key, [
        written("weather", "wet cars on a rainy track"),
        written("food", "lunch is served in the tent"),
      ]);
      await engines.caughtUp(soon());
      expect(await best(engines.engine)).toBe("weather");
    }
    await using again = await openLocalEngines(store, options);
    expect(await best(again.engine)).toBe("weather");
    expect(again.engine.vectorsOf(collection)).toBe(2);
  });

  test("knows the installed models only", async () => {
    await using opened = await openEngine();
    const { engine } = opened;
    expect(installedModels().map(({ name }) => name)).toEqual(["all-MiniLM-L6-v2", "static-256"]);
    expect((await problemOf(() => engine.models.open("gpt-9"))).code).toBe("unknown_model");
    expect((await problemOf(() => findModel("gpt-9"))).code).toBe("unknown_model");
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
    const { engine, engines, store } = opened;
    const other = await store.createCollection({ ...EMBEDDED, modelSha256: "0".repeat(64) });
    const same = await store.createCollection({ ...EMBEDDED, name: "same" });
    for (const one of [other, same]) await engine.openCollection(one);
    await store.writeDocuments(other.key, [written("a", "text")]);
    await store.writeDocuments(same.key, [written("a", "text")]);
    await engines.caughtUp(soon());
    for (const one of [other, same]) await engine.reach(one);
    expect(engine.vectorsOf(same)).toBe(1);
    expect(engine.vectorsOf(other)).toBe(0);
  });

  test("stops while documents wait for their vectors", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const options = engineOptions(opened.path);
    const collection = await store.createCollection(EMBEDDED);
    const { key } = collection;
    const many = Array.from({ length: 100 }, (_, index) => written(`d${index}`, `text ${index}`));
    {
      await using _engines = await openLocalEngines(store, options);
      await store.writeDocuments(key, many);
    }
    const left = await store.pendingTotal();
    await using engines = await openLocalEngines(store, options);
    await store.writeDocuments(key, [written("last", "text")]);
    await engines.caughtUp(soon());
    await engines.engine.reach(collection);
    expect(left).toBeGreaterThan(0);
    expect(await store.pendingTotal()).toBe(0);
    expect(engines.engine.vectorsOf(collection)).toBe(101);
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
    const scores = async (): Promise<number[]> => {
      await engine.reach(collection);
      return engine.nearest(collection, search).map(({ score }) => score);
    };
    await store.writeDocuments(key, [withVector("a", [1, 0]), withVector("b", [0, 1])]);
    expect(await scores()).toEqual([1, 0]);
    await store.writeDocuments(key, [withVector("b", [1, 0])]);
    expect(await scores()).toEqual([1, 1]);
    await store.deleteDocuments(key, ["a", "b"]);
    expect(await scores()).toEqual([]);
    expect(engine.vectorsOf(collection)).toBe(0);
  });

  test("holds one vector for a document that came twice in one batch, the last one", async () => {
    await using opened = await openEngine();
    const { engine, store } = opened;
    const collection = await store.createCollection(COLLECTION);
    await engine.openCollection(collection);
    await store.writeDocuments(collection.key, [withVector("a", [1, 0]), withVector("a", [0, 1])]);
    await engine.reach(collection);
    expect(engine.nearest(collection, search).map(({ score }) => score)).toEqual([0]);
  });

  test("that a search comes to before its news is opened by it, and one that was dropped is not", async () => {
    await using opened = await openEngine();
    const { engine, store } = opened;
    const collection = await store.createCollection(COLLECTION);
    await store.writeDocuments(collection.key, [withVector("a", [1, 0])]);
    await engine.reach(collection);
    expect(engine.nearest(collection, search)).toHaveLength(1);
    await store.dropCollection(collection.key);
    await engine.dropCollection(collection.key);
    const problem = await problemOf(() => engine.reach(collection));
    expect(problem.code).toBe("collection_not_found");
  });

  test("is the collection's own", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const one = await store.createCollection(COLLECTION);
    const other = await store.createCollection({ ...COLLECTION, name: "other", dimensions: 3 });
    await store.writeDocuments(one.key, [withVector("a", [1, 0])]);
    await store.writeDocuments(other.key, [withVector("a", [0, 0, 1])]);
    const options = { ...engineOptions(opened.path), words: true };
    await using indexes = new Indexes(store, options);
    for (const collection of [one, other]) await (await indexes.open(collection)).ready;
    expect(indexes.of(one.key).nearest({ vector: X, k: 9 })).toHaveLength(1);
    expect(indexes.of(other.key).nearest({ vector: new Float32Array(3), k: 9 })).toHaveLength(1);
    await indexes.drop(one.key);
    expect(indexes.vectors).toBe(1);
    expect(() => indexes.of(one.key)).toThrow();
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

  test("takes base64 of little-endian float32 for the same numbers, to the last bit", () => {
    fc.assert(
      fc.property(fc.array(float, { minLength: 1, maxLength: 40 }), (numbers) => {
        fc.pre(numbers.some((number) => Math.abs(number) > 1e-20));
        const vector = checkVector(base64Of(numbers), numbers.length);
        expect(vector).toEqual(checkVector(numbers, numbers.length));
      }),
      { seed: 1 },
    );
    expect(checkVector("AABAQAAAgMA=", 2)).toEqual(new Float32Array([0.6, -0.8]));
  });

  test("takes base64 of the largest vector, and gives each caller numbers of its own", () => {
    const count = limits.dimensionsMax;
    const first = checkVector(base64Of(Array.from({ length: count }, () => 1)), count);
    const second = checkVector(base64Of(Array.from({ length: count }, () => -1)), count);
    const side = 1 / Math.sqrt(count);
    expect(first.every((number) => number === side)).toBe(true);
    expect(second.every((number) => number === -side)).toBe(true);
  });

  const good = base64Of([3, -4]);
  test.each([
    ["no text", "", "dimensions_mismatch"],
    ["one number", base64Of([1]), "dimensions_mismatch"],
    ["three numbers", base64Of([1, 2, 3]), "dimensions_mismatch"],
    ["seven bytes", Buffer.alloc(7, 1).toString("base64"), "invalid_vector"],
    ["nine bytes", Buffer.alloc(9, 1).toString("base64"), "invalid_vector"],
    ["numbers in words", "3, -4", "invalid_vector"],
    ["a letter that base64 has not", `*${good.slice(1)}`, "invalid_vector"],
    ["a letter past ASCII", `é${good.slice(1)}`, "invalid_vector"],
    ["the letters of base64url", base64Of([3, -4e38]).replace("/", "_"), "invalid_vector"],
    ["no padding", good.replaceAll("=", ""), "invalid_vector"],
    ["too much padding", `${good}====`, "invalid_vector"],
    ["stray bits before the padding", good.replace(/.=$/, "B="), "invalid_vector"],
    ["a line break", `${good}\n`, "invalid_vector"],
    ["spaces in it", `${good.slice(0, 4)} ${good.slice(4)}`, "invalid_vector"],
    ["more than any vector has", "A".repeat(4 * limits.dimensionsMax * 2), "invalid_vector"],
    ["NaN", base64Of([NaN, 1]), "invalid_vector"],
    ["Infinity", base64Of([1, -Infinity]), "invalid_vector"],
    ["zero", base64Of([0, -0]), "invalid_vector"],
  ] as const)("refuses base64 with %s", async (_what, text, code) => {
    expect((await problemOf(() => checkVector(text, 2))).code).toBe(code);
  });
});

const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 50), max: 2 ** 50 });
