import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../../src/engine/engine.ts";
import { limits } from "../../../src/limits.ts";
import type { CollectionRow } from "../../../src/store/store.ts";
import { GRAPH_ROWS, openInThread } from "./in-thread-world.ts";
import { indexOf, numbered, remove, WORLD } from "./world.ts";

/** What an engine finds next to some vectors. */
async function nearestIn(engine: Engine, collection: CollectionRow) {
  await engine.reach(collection);
  return [2, 77, 205, 5000].map((number) =>
    engine.nearest(collection, { vector: vectorOf(number), k: 10 }),
  );
}

function vectorOf(number: number): Float32Array {
  const { vector } = numbered(number);
  if (vector === undefined) throw new Error("a numbered document has a vector");
  return vector;
}

describe("a thread that searches beside the engines", () => {
  test("finds what the owner of the files finds: in a graph, beside it, and not what was removed", async () => {
    await using world = await openInThread();
    const { store, collection, owner, here } = world;
    await world.write(0, GRAPH_ROWS);
    await indexOf(owner, collection).compact();
    await world.write(GRAPH_ROWS, GRAPH_ROWS + 40);
    await remove(store, collection, [2, 205, GRAPH_ROWS + 1]);
    await world.opened();
    const report = indexOf(here.engine, collection).report();
    expect(report).toMatchObject({ vectors: GRAPH_ROWS + 37, segments: 1, words: 0 });
    expect(await nearestIn(here.engine, collection)).toEqual(await nearestIn(owner, collection));
  });

  test("leaves a collection to the engines after a commit, and has read that one afterwards", async () => {
    await using world = await openInThread();
    const { collection, here } = world;
    await world.write(0, 20);
    expect(here.isOpen(collection)).toBe(false);
    await world.opened();
    await world.write(20, 21);
    expect(here.isOpen(collection)).toBe(false);
    await world.opened();
    await here.engine.reach(collection);
    const search = { vector: vectorOf(20), k: 1 };
    expect(here.engine.nearest(collection, search)).toMatchObject([{ score: expect.closeTo(1) }]);
    expect(here.engine.vectorsOf(collection)).toBe(21);
  });

  test("lets go of the files where much has changed, and where their owner has replaced them", async () => {
    await using world = await openInThread();
    const { collection, owner, here } = world;
    await world.write(0, 20);
    await world.opened();
    await world.write(20, 21 + limits.inThreadUnsealedMax);
    await world.closed();
    await indexOf(owner, collection).compact();
    await world.opened();
    expect(await nearestIn(here.engine, collection)).toEqual(await nearestIn(owner, collection));
    await world.write(2000, 2001);
    await indexOf(owner, collection).compact();
    await world.closed();
    await world.opened();
    expect(await nearestIn(here.engine, collection)).toEqual(await nearestIn(owner, collection));
  });

  test("does not read what waits unsealed beyond its bound", async () => {
    // Each document has a text and a vector in the log.
    await using world = await openInThread(limits.inThreadUnsealedMax / 2 + 1);
    const { store, collection, owner, here } = world;
    const small = await store.createCollection({ ...WORLD, name: "small", quantization: "i8" });
    await owner.openCollection(small);
    here.isOpen(collection);
    await world.opened(small);
    expect(here.engine.findIndex(collection.key)).toBeUndefined();
    await indexOf(owner, collection).compact();
    await world.opened();
  });

  test("opens no collection of other numbers than int8, and none with a model", async () => {
    await using world = await openInThread();
    const { store, collection, owner, here } = world;
    const floats = await store.createCollection({ ...WORLD, name: "floats", quantization: "f16" });
    const model = { model: "static-256", modelSha256: "0".repeat(64), quantization: "i8" as const };
    const texts = await store.createCollection({ ...WORLD, name: "texts", ...model });
    for (const one of [floats, texts]) {
      await owner.openCollection(one);
      expect(here.isOpen(one)).toBe(false);
    }
    await world.opened();
    for (const one of [floats, texts]) {
      expect(here.isOpen(one)).toBe(false);
      expect(here.engine.findIndex(one.key)).toBeUndefined();
    }
    expect(here.engine.findIndex(collection.key)).toBeDefined();
  });

  test("gives a collection to the engines whose searches hold it up, one after the other", async () => {
    await using world = await openInThread();
    const { collection, here } = world;
    await world.opened();
    const searched = (times: number, ms: number): void => {
      for (let time = 0; time < times; time++) here.took(collection.key, ms);
    };
    searched(31, 10);
    searched(1, 0.3);
    searched(31, 10);
    expect(here.isOpen(collection)).toBe(true);
    searched(1, 10);
    expect(here.isOpen(collection)).toBe(false);
  });

  test("leaves what it cannot open to the engines, also where it is closed meanwhile", async () => {
    await using world = await openInThread(3);
    const { store, collection, here, folder } = world;
    const barred = await store.createCollection({ ...WORLD, name: "barred", quantization: "i8" });
    writeFileSync(join(folder, String(barred.key)), "a file where its folder should be");
    expect(here.isOpen(barred)).toBe(false);
    await here.close(barred.key);
    expect(here.engine.findIndex(barred.key)).toBeUndefined();
    expect(here.isOpen(barred)).toBe(false);
    await world.opened();
    // One that is closed while it is being opened is closed in the end, and can be opened again.
    await here.close(collection.key);
    here.isOpen(collection);
    await here.close(collection.key);
    expect(here.engine.findIndex(collection.key)).toBeUndefined();
    await world.opened();
    expect(here.engine.vectorsOf(collection)).toBe(3);
  });

  test("has nothing of a collection that was dropped", async () => {
    await using world = await openInThread(3);
    const { collection, here } = world;
    await world.opened();
    await here.drop(collection.key);
    expect(here.engine.findIndex(collection.key)).toBeUndefined();
    const search = () => here.engine.nearest(collection, { vector: vectorOf(1), k: 1 });
    expect(search).toThrow(expect.objectContaining({ code: "collection_not_found" }));
  });
});
