import { describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { EngineOptions } from "../../../src/engine/engine.ts";
import { verify } from "../../../src/maintenance/verify.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import {
  answersOf,
  indexOf,
  numbered,
  openWorld,
  range,
  remove,
  WORLD,
  worldOf,
  write,
} from "./world.ts";

type Answers = Awaited<ReturnType<typeof answersOf>>;

/**
 * Two sealed segments of each index, one with dead rows; replaced documents; rows that are in memory only. A copy of the
 * index folder as it was before the second seal is beside it as `stale`.
 */
async function prepare(folder: string, options: Partial<EngineOptions> = {}): Promise<Answers> {
  await using world = await openWorld(folder, options);
  const { store, engine } = world;
  const collection = await store.createCollection(WORLD);
  await engine.openCollection(collection);
  await write(
    store,
    collection,
    range(0, 200).map((number) => numbered(number)),
  );
  await indexOf(engine, collection).compact();
  cpSync(join(folder, "index"), join(folder, "stale"), { recursive: true });
  await write(
    store,
    collection,
    range(200, 300).map((number) => numbered(number)),
  );
  await indexOf(engine, collection).compact();
  await remove(store, collection, range(0, 30));
  await write(
    store,
    collection,
    [...range(190, 210), ...range(300, 340)].map((number) => numbered(number, 2)),
  );
  await engine.reach(collection);
  const { segments, unsealed } = indexOf(engine, collection).report();
  expect(segments).toBeGreaterThan(0);
  expect(unsealed).toBe(2 * 60);
  return await answersOf(engine, collection);
}

/** Opens the data again and expects the answers to be those before, with nothing wrong and nothing strange. */
async function expectSame(folder: string, before: Answers, options: Partial<EngineOptions> = {}) {
  await using world = await openWorld(folder, options);
  const collection = await worldOf(world);
  await indexOf(world.engine, collection).ready;
  expect(await answersOf(world.engine, collection)).toEqual(before);
  const report = await verify(world.store, world.owner);
  expect(report).toMatchObject({
    ok: true,
    collections: [{ chunks: 310, vectors: 310, words: 310 }],
  });
}

/** Files of an index with this ending. */
const filesOf = (folder: string, kind: "vectors" | "keyword", ending = ""): string[] =>
  readdirSync(join(folder, "index", "1", kind))
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, "index", "1", kind, name));

describe("an engine that is opened again", () => {
  test.each(["exact", "usearch"] as const)("answers as before, with %s", async (vectorEngine) => {
    using dir = tempDir();
    const before = await prepare(dir.path, { vectorEngine });
    await expectSame(dir.path, before, { vectorEngine });
    // And once more, now that a close has written down what was dead.
    await expectSame(dir.path, before, { vectorEngine });
  });

  test("replays what was never sealed", async () => {
    using dir = tempDir();
    let before: Answers;
    {
      await using world = await openWorld(dir.path);
      const collection = await world.store.createCollection(WORLD);
      await world.engine.openCollection(collection);
      await write(
        world.store,
        collection,
        range(0, 310).map((number) => numbered(number)),
      );
      before = await answersOf(world.engine, collection);
    }
    await expectSame(dir.path, before);
  });

  test("answers as before where another vector engine is asked for", async () => {
    using dir = tempDir();
    const before = await prepare(dir.path, { vectorEngine: "usearch" });
    await expectSame(dir.path, before, { vectorEngine: "exact" });
  });

  const damages: [string, (folder: string) => void][] = [
    ["the index folder is gone", (folder) => rmSync(join(folder, "index"), { recursive: true })],
    [
      "one of the two indexes is gone",
      (folder) => rmSync(join(folder, "index", "1", "keyword"), { recursive: true }),
    ],
    [
      "the index folder is an older one",
      (folder) => {
        rmSync(join(folder, "index"), { recursive: true });
        cpSync(join(folder, "stale"), join(folder, "index"), { recursive: true });
      },
    ],
    [
      "the manifest is an older one",
      (folder) => {
        for (const kind of ["vectors", "keyword"]) {
          const [from, to] = ["stale", "index"].map((at) => join(folder, at, "1", kind));
          cpSync(join(from ?? "", "manifest.json"), join(to ?? "", "manifest.json"));
        }
      },
    ],
    [
      "a manifest is torn",
      (folder) => truncateSync(join(folder, "index", "1", "vectors", "manifest.json"), 100),
    ],
    [
      "a segment's file is cut short",
      (folder) => {
        for (const path of filesOf(folder, "vectors", ".rows").slice(0, 1)) truncateSync(path, 64);
      },
    ],
    [
      "a bit of a segment's file is another one",
      (folder) => {
        for (const path of filesOf(folder, "keyword", ".postings")) {
          const bytes = readFileSync(path);
          bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 4;
          writeFileSync(path, bytes);
        }
      },
    ],
    [
      "a file is a folder",
      (folder) => {
        for (const path of filesOf(folder, "vectors", ".rows")) {
          rmSync(path);
          mkdirSync(path);
        }
      },
    ],
  ];
  test.each(damages)("answers as before where %s", async (_, damage) => {
    using dir = tempDir();
    const before = await prepare(dir.path);
    damage(dir.path);
    await expectSame(dir.path, before);
    // What was made again is whole: nothing is left to repair.
    const asideNow = () =>
      readdirSync(join(dir.path, "index"), { recursive: true })
        .map(String)
        .filter((name) => name.startsWith("quarantine"))
        .toSorted();
    const aside = asideNow();
    await expectSame(dir.path, before);
    expect(asideNow()).toEqual(aside);
  });

  test("puts what was damaged aside, for a person to look at", async () => {
    using dir = tempDir();
    const before = await prepare(dir.path);
    const [path = ""] = filesOf(dir.path, "vectors", ".rows");
    truncateSync(path, 64);
    await expectSame(dir.path, before);
    const kept = readdirSync(join(dir.path, "index", "quarantine"));
    expect(kept.some((name) => name.endsWith(".rows"))).toBe(true);
  });

  test("does not take the indexes of another database for its own", async () => {
    using dir = tempDir();
    using other = tempDir();
    const before = await prepare(dir.path);
    await prepare(other.path);
    rmSync(join(dir.path, "index"), { recursive: true });
    cpSync(join(other.path, "index"), join(dir.path, "index"), { recursive: true });
    await expectSame(dir.path, before);
  });
});

describe("a collection's index folder", () => {
  test("goes with the collection, and only its own", async () => {
    using dir = tempDir();
    await using world = await openWorld(dir.path);
    const { store, engine } = world;
    const [one, other] = [
      await store.createCollection(WORLD),
      await store.createCollection({ ...WORLD, name: "other" }),
    ];
    for (const collection of [one, other]) {
      await engine.openCollection(collection);
      await write(store, collection, [numbered(1)]);
      await indexOf(engine, collection).compact();
    }
    expect(readdirSync(join(dir.path, "index")).toSorted()).toEqual(["1", "2"]);
    await engine.dropCollection(one.key);
    await store.dropCollection(one.key);
    expect(readdirSync(join(dir.path, "index"))).toEqual(["2"]);
    expect(engine.vectorsOf(other)).toBe(1);
    expect(engine.findIndex(one.key)).toBeUndefined();
    expect(engine.indexReports()).toHaveLength(1);
  });

  test("of a collection that was dropped while nobody looked is removed at the next start", async () => {
    using dir = tempDir();
    await prepare(dir.path);
    {
      await using world = await openWorld(dir.path);
      const collection = await worldOf(world);
      // As after a crash between the two halves of a removal.
      await world.store.dropCollection(collection.key);
    }
    for (const name of ["photos", "2026", "7"]) mkdirSync(join(dir.path, "index", name));
    for (const name of ["2026/photo.jpg", "2027"]) writeFileSync(join(dir.path, "index", name), "");
    await using _world = await openWorld(dir.path);
    // Not what is anybody else's.
    expect(readdirSync(join(dir.path, "index")).toSorted()).toEqual(["2026", "2027", "photos"]);
  });
});

describe("what is sealed", () => {
  test("is cut off the store's log, and nothing else is", async () => {
    using dir = tempDir();
    await using world = await openWorld(dir.path);
    const { store, engine } = world;
    const collection = await store.createCollection(WORLD);
    await engine.openCollection(collection);
    await write(store, collection, [numbered(1), numbered(2)]);
    expect(await store.indexState(collection.key)).toEqual({ sequence: 4, trimmed: 0 });
    await indexOf(engine, collection).compact();
    await write(store, collection, [numbered(3)]);
    const state = await eventually("the log is cut off", async () => {
      const now = await store.indexState(collection.key);
      return now.trimmed > 0 ? now : undefined;
    });
    expect(state).toEqual({ sequence: 6, trimmed: 4 });
    expect(await store.indexLog(collection.key, { after: 0, limit: 10 })).toHaveLength(2);
  });
});
