import { describe, expect, test } from "bun:test";
import type { Budgets } from "../../../src/engine/indexes.ts";
import { NO_BUDGETS } from "../../support/engine.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { indexOf, numbered, openWorld, range, WORLD, write } from "./world.ts";

const documents = range(0, 200).map((number) => numbered(number));

/** A world with these budgets and two collections, the first with documents in memory. */
async function open(folder: string, budgets: Partial<Budgets>) {
  const world = await openWorld(folder, { budgets: { ...NO_BUDGETS, ...budgets } });
  const full = await world.store.createCollection(WORLD);
  const empty = await world.store.createCollection({ ...WORLD, name: "empty" });
  for (const collection of [full, empty]) await world.engine.openCollection(collection);
  await write(world.store, full, documents);
  await world.engine.reach(full);
  return { ...world, full, empty };
}

describe("room for another write", () => {
  test("is there where no budget is reached", async () => {
    using dir = tempDir();
    await using world = await open(dir.path, { memoryBytesMax: 100e6, diskFreeBytesMin: 1 });
    await world.engine.room(world.full.key);
    await world.engine.room(world.empty.key);
  });

  test("is refused to a collection that holds more than its own budget even when all of it is sealed", async () => {
    using dir = tempDir();
    await using world = await open(dir.path, { collectionMemoryBytesMax: 1 });
    const problem = await problemOf(() => world.engine.room(world.full.key));
    expect([problem.code, problem.retryAfterMs]).toEqual(["memory_full", 5000]);
    expect(problem.detail).toMatch(/collection's indexes hold \d+ bytes .* budget is 1\./);
  });

  test("is refused to all collections where together they hold too much", async () => {
    using dir = tempDir();
    await using world = await open(dir.path, { memoryBytesMax: 1 });
    for (const collection of [world.full, world.empty])
      expect((await problemOf(() => world.engine.room(collection.key))).code).toBe("memory_full");
  });

  test("is made by sealing what is in memory", async () => {
    using dir = tempDir();
    await using world = await open(dir.path, { collectionMemoryBytesMax: 40_000 });
    const { engine, full } = world;
    expect(indexOf(engine, full).report().heapBytes).toBeGreaterThan(40_000);
    await engine.room(full.key);
    expect(indexOf(engine, full).report()).toMatchObject({ unsealed: 0, segments: 2 });
  });

  test("is refused where the disk has less left than is kept free", async () => {
    using dir = tempDir();
    await using world = await open(dir.path, { diskFreeBytesMin: 2 ** 60 });
    const problem = await problemOf(() => world.engine.room(world.empty.key));
    expect([problem.code, problem.retryAfterMs]).toEqual(["storage_full", 5000]);
    expect(problem.detail).toContain("DISK_FREE_MIN_MB");
  });

  test("is nobody's in a collection that is gone", async () => {
    using dir = tempDir();
    await using world = await open(dir.path, {});
    await world.engine.dropCollection(world.empty.key);
    const problem = await problemOf(() => world.engine.room(world.empty.key));
    expect(problem.code).toBe("collection_not_found");
  });
});
