import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkIndex } from "../../../src/engine/check-index.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { trimmer } from "../../../src/engine/engines.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import type { CollectionRow, StoreRead } from "../../../src/store/store.ts";
import { seededRandom } from "../../e2e/distinct-documents.ts";
import { engineOptions, OWNER } from "../../support/engine.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { answersOf, indexOf, numbered, range, remove, WORLD, write } from "./world.ts";

/** Hears of a collection and does nothing. */
const nobody = (_collectionKey: number): void => {};

/** An owner that seals often, and a way to open followers beside it. */
async function open(sealRows = 60) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store = stack.use(await LocalStore.open(dir.path));
  const collection = await store.createCollection(WORLD);
  const trim = trimmer(store);
  let heard: (collectionKey: number) => void = nobody;
  const onSealed = (collectionKey: number, sequence: number): void => {
    trim(collectionKey, sequence);
    heard(collectionKey);
  };
  const options = engineOptions(dir.path);
  const role = { ...OWNER, sealRows, onSealed };
  const owner = stack.use(await Engine.open(store, { ...options, role }));
  store.onCommit(({ collectionKey }) => owner.hear(collectionKey));
  const owned = stack.move();
  return {
    folder: join(dir.path, "index", String(collection.key)),
    store,
    collection,
    owner,
    follow: (follower: number) =>
      Engine.open(store, { ...options, role: { kind: "follower", follower, onBroken: () => {} } }),
    /** Tells an engine what the owner seals from now on. */
    tell: (engine: Engine) => (heard = (key) => engine.hearSealed(key)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What an engine's indexes have wrong, and how much they have. */
async function stateOf(store: StoreRead, engine: Engine, collection: CollectionRow) {
  await engine.reach(collection);
  return checkIndex(store, indexOf(engine, collection), collection);
}

const whole = (count: number) => ({ vectors: count, words: count, problems: [] });

describe("an engine that follows", () => {
  test("finds what was committed, before and after the owner has sealed it", async () => {
    await using world = await open(1000);
    const { store, collection, owner } = world;
    await using follower = await world.follow(1);
    world.tell(follower);
    await write(
      store,
      collection,
      range(0, 250).map((number) => numbered(number)),
    );
    const before = await answersOf(follower, collection);
    expect(before).toEqual(await answersOf(owner, collection));
    await indexOf(owner, collection).compact();
    await eventually("the follower has taken it over", async () => {
      await follower.reach(collection);
      return indexOf(follower, collection).report().unsealed === 0 ? true : undefined;
    });
    expect(await answersOf(follower, collection)).toEqual(await answersOf(owner, collection));
    expect(indexOf(follower, collection).report().segments).toBe(2);
    expect((await answersOf(follower, collection)).words).toEqual(before.words);
  });

  test("that hears nothing finds it all the same, also where the log was cut off meanwhile", async () => {
    await using world = await open(1000);
    const { store, collection, owner } = world;
    await using follower = await world.follow(1);
    await write(
      store,
      collection,
      range(0, 100).map((number) => numbered(number)),
    );
    await indexOf(owner, collection).compact();
    await write(
      store,
      collection,
      range(100, 120).map((number) => numbered(number)),
    );
    expect(await stateOf(store, follower, collection)).toEqual(whole(120));
    // Both kinds of rows go while it hears nothing: sealed ones, and those that it has in memory.
    await remove(store, collection, [3, 4, 110]);
    await write(store, collection, [numbered(5, 2), numbered(200)]);
    const { trimmed } = await store.indexState(collection.key);
    await indexOf(owner, collection).compact();
    await eventually("the log is cut off", async () =>
      (await store.indexState(collection.key)).trimmed > trimmed ? true : undefined,
    );
    expect(await stateOf(store, follower, collection)).toEqual(whole(118));
    expect(await answersOf(follower, collection)).toEqual(await answersOf(owner, collection));
  });

  const SEED = 1207;

  test(`has what the store has, whatever is written and sealed while it follows (seed ${SEED})`, async () => {
    await using world = await open();
    const { store, collection, owner } = world;
    const random = seededRandom(SEED);
    let followers = [await world.follow(1), await world.follow(2)];
    const [told] = followers;
    if (told !== undefined) world.tell(told);
    const live = new Set<number>();
    for (const round of range(0, 80)) {
      const numbers = [...new Set(range(0, 25).map(() => Math.floor(random() * 400)))];
      await write(
        store,
        collection,
        numbers.map((number) => numbered(number, round)),
      );
      for (const number of numbers) live.add(number);
      const gone = [...live].filter(() => random() < 0.05);
      await remove(store, collection, gone);
      for (const number of gone) live.delete(number);
      if (random() < 0.2) await indexOf(owner, collection).compact();
      for (const follower of followers) {
        if (random() < 0.5) continue;
        expect({ round, ...(await stateOf(store, follower, collection)) }).toEqual({
          round,
          ...whole(live.size),
        });
      }
      if (round % 20 < 19) continue;
      // The second one ends, and another takes its place.
      await followers[1]?.[Symbol.asyncDispose]();
      followers = [...followers.slice(0, 1), await world.follow(2)];
    }
    expect(await stateOf(store, owner, collection)).toEqual(whole(live.size));
    for (const follower of followers) await follower[Symbol.asyncDispose]();
  });

  test("reads again from the store what is damaged, and leaves the file to the owner", async () => {
    await using world = await open(1000);
    const { store, collection, owner } = world;
    await write(
      store,
      collection,
      range(0, 100).map((number) => numbered(number)),
    );
    await indexOf(owner, collection).compact();
    const folder = join(world.folder, "vectors");
    const [name = ""] = readdirSync(folder).filter((one) => one.endsWith(".rows"));
    const bytes = readFileSync(join(folder, name));
    bytes[99] = (bytes[99] ?? 0) ^ 1;
    // A new file, since the owner has mapped the one that is there.
    rmSync(join(folder, name));
    writeFileSync(join(folder, name), bytes);
    await using follower = await world.follow(1);
    expect(follower.suspicious).toBe(false);
    expect(await stateOf(store, follower, collection)).toEqual(whole(100));
    expect(readdirSync(folder)).toContain(name);
    expect(await answersOf(follower, collection)).toMatchObject({ vectors: 100 });
  });

  test("over which opening a file ended says so, and serves without it", async () => {
    await using world = await open(1000);
    const { store, collection, owner } = world;
    await write(
      store,
      collection,
      range(0, 100).map((number) => numbered(number)),
    );
    await indexOf(owner, collection).compact();
    const folder = join(world.folder, "keyword");
    const names = readdirSync(folder).filter((one) => one !== "manifest.json");
    writeFileSync(join(folder, "opening-1.json"), names.join("\n"));
    await using follower = await world.follow(1);
    expect(follower.suspicious).toBe(true);
    expect(await stateOf(store, follower, collection)).toEqual(whole(100));
    expect(readdirSync(folder)).toContain("suspect-1.json");
  });
});
