import { expect, test } from "bun:test";
import { createReadMemory } from "../../../src/search/read-memory.ts";
import { LocalReader } from "../../../src/store/local/local-reader.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import type { StoreRead } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, written } from "../store/fixtures.ts";

/** Counts how often chunks are read. */
function counted(store: StoreRead): { store: StoreRead; reads: () => number } {
  let reads = 0;
  const counting: StoreRead = new Proxy(store, {
    get(target, name: keyof StoreRead) {
      if (name === "hits") reads++;
      return target[name];
    },
  });
  return { store: counting, reads: () => reads };
}

test.each(["the connection that writes", "another connection"])(
  "what %s has read is remembered until the next commit",
  async (who) => {
    using dir = tempDir();
    await using store = await LocalStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("a", "one")]);
    using reader = LocalReader.open(dir.path);
    const { store: reading, reads } = counted(who === "another connection" ? reader : store);
    const [chunk = 0] = await store.indexedKeys(key, { what: "text", after: 0, limit: 1 });
    const memory = createReadMemory(reading);

    expect(memory.begin().sequence).toBe(store.sequence);
    expect((await memory.hits([chunk, 999])).get(chunk)?.text).toBe("one");
    // What changes no document leaves it as it is.
    await store.putAnswer("k", { requestSha256: "s", answer: "{}" });
    expect(memory.begin()).toEqual({ version: reading.version(), sequence: store.sequence });
    await memory.hits([chunk]);
    expect(reads()).toBe(1);

    // The chunk stays as it is, and what is shown of its document does not.
    await store.writeDocuments(key, [{ ...written("a", "one"), metadata: { colour: "red" } }]);
    expect(memory.begin()).toEqual({ version: reading.version(), sequence: store.sequence });
    expect((await memory.hits([chunk])).get(chunk)?.metadata).toEqual({ colour: "red" });
    expect(reads()).toBe(2);

    await store.deleteDocuments(key, ["a"]);
    memory.begin();
    expect((await memory.hits([chunk])).has(chunk)).toBe(false);
  },
);

test("what is forgotten while a search reads is not missing from its hits, and what it read is not remembered", async () => {
  using dir = tempDir();
  await using store = await LocalStore.open(dir.path);
  const { key } = await store.createCollection(COLLECTION);
  await store.writeDocuments(key, [written("a", "one"), written("b", "two")]);
  const chunks = await store.indexedKeys(key, { what: "text", after: 0, limit: 2 });
  const [a = 0, b = 0] = chunks;
  // A reading that lasts until the test lets it go on, with what was there at its begin.
  let gate = Promise.resolve();
  const slow: StoreRead = new Proxy(store, {
    get: (target, name: keyof StoreRead) =>
      name === "hits"
        ? async (keys: readonly number[]) => {
            const hits = await target.hits(keys);
            await gate;
            return hits;
          }
        : target[name],
  });
  const memory = createReadMemory(slow);
  memory.begin();
  await memory.hits([a]);

  const open = Promise.withResolvers<void>();
  gate = open.promise;
  const reading = memory.hits([a, b]);
  await store.writeDocuments(key, [{ ...written("b", "two"), metadata: { colour: "red" } }]);
  memory.begin();
  open.resolve();
  expect([...(await reading).keys()]).toEqual([a, b]);
  expect((await memory.hits([b])).get(b)?.metadata).toEqual({ colour: "red" });
});
