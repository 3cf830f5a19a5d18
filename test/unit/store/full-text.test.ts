import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { parseFilter } from "../../../src/store/filter.ts";
import { LocalStore, type LocalStoreOptions } from "../../../src/store/local/local-store.ts";
import type { KeywordSearch, KeywordWords, Store } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, slicesOf, withVector, written } from "./fixtures.ts";

/** Names of the full-text tables in the file of a closed store. */
function tablesIn(folder: string): unknown[] {
  using db = new Database(join(folder, "slipstream.db"), { readonly: true });
  const sql = "SELECT name FROM sqlite_schema WHERE name GLOB 'keyword_*' ORDER BY name";
  return db
    .query<{ name: string }, []>(sql)
    .all()
    .map(({ name }) => name);
}

/** Opens the store of a folder, does something, closes it. */
async function during<T>(
  folder: string,
  options: LocalStoreOptions,
  work: (store: LocalStore) => Promise<T>,
): Promise<T> {
  await using store = await LocalStore.open(folder, options);
  return await work(store);
}

/** Ids of the documents found, in alphabetical order; the count must say the same. */
async function idsOf(store: Store, search: Omit<KeywordSearch, "limit">): Promise<string[]> {
  const found = await store.keyword({ ...search, limit: 100 });
  const documents = new Set(found.map(({ documentKey }) => documentKey));
  expect(await store.countKeyword(search)).toBe(documents.size);
  const hits = await store.hits(found.map(({ chunkKey }) => chunkKey));
  return [...new Set([...hits.values()].map(({ id }) => id))].toSorted();
}

describe("full-text tables", () => {
  test("are made where they are wanted, from documents written without them", async () => {
    using dir = tempDir();
    const key = await during(dir.path, {}, async (store) => {
      const one = await store.createCollection(COLLECTION);
      await store.createCollection({ ...COLLECTION, name: "empty" });
      const many = Array.from({ length: 250 }, (_, at) => written(`d${at}`, `flag ${at}`));
      for (const slice of slicesOf(many)) await store.writeDocuments(one.key, slice);
      const chunks = [{ start: 0, end: 0, heading: null }];
      await store.writeDocuments(one.key, [
        { id: "titled", title: "a flag", text: null, metadata: {}, chunks },
        { id: "wordless", title: null, text: null, metadata: {}, chunks },
      ]);
      await store.deleteDocuments(one.key, ["d0"]);
      return one.key;
    });
    expect(tablesIn(dir.path)).toEqual([]);
    await during(dir.path, { fts5: true }, async (store) => {
      expect(await store.countKeyword({ collectionKey: key, terms: ["flags"] })).toBe(250);
      expect(await idsOf(store, { collectionKey: key, terms: ["249"] })).toEqual(["d249"]);
      // From now on they are kept in step.
      await store.writeDocuments(key, [written("d249", "rain")]);
      expect(await idsOf(store, { collectionKey: key, terms: ["249"] })).toEqual([]);
      expect(await idsOf(store, { collectionKey: key, terms: ["rain"] })).toEqual(["d249"]);
      const [, empty] = (await store.collections()).toReversed();
      await store.writeDocuments(empty?.key ?? 0, [written("a", "rain")]);
    });
  });

  test("are dropped where they are not, and filled anew when they are wanted again", async () => {
    using dir = tempDir();
    const key = await during(dir.path, { fts5: true }, async (store) => {
      const one = await store.createCollection(COLLECTION);
      await store.writeDocuments(one.key, [written("a", "red flag")]);
      return one.key;
    });
    expect(tablesIn(dir.path)).toContain(`keyword_${key}`);
    await during(dir.path, {}, async (store) => {
      await store.writeDocuments(key, [written("a", "green flag"), written("b", "red light")]);
    });
    expect(tablesIn(dir.path)).toEqual([]);
    await during(dir.path, { fts5: true }, async (store) => {
      expect(await idsOf(store, { collectionKey: key, terms: ["red"] })).toEqual(["b"]);
      expect(await store.wordFrequencies(key, ["green"])).toEqual({ chunks: 2, counts: [1] });
    });
  });

  test("are not there to answer where they are not kept", async () => {
    using dir = tempDir();
    await during(dir.path, {}, async (store) => {
      const { key } = await store.createCollection(COLLECTION);
      await store.writeDocuments(key, [withVector("a", [1, 0])]);
      const search = store.keyword({ collectionKey: key, terms: ["text"], limit: 1 });
      expect(await search.catch(() => "refused")).toBe("refused");
    });
    expect(tablesIn(dir.path)).toEqual([]);
  });
});

describe("words, phrases and the beginning of a word", () => {
  const texts = {
    a: "the red flag is out",
    b: "a flag, red and yellow",
    c: "flagging and flags",
    d: "reddish rain",
  };

  test.each<[string, KeywordWords, string[]]>([
    ["any of the words", { terms: ["red", "rain"] }, ["a", "b", "d"]],
    ["a phrase, in its order", { terms: ["red", "flag"], phrases: ["red flag"] }, ["a"]],
    ["a phrase of other forms", { terms: ["flag"], phrases: ["flagged red"] }, ["b"]],
    ["two phrases, both", { terms: ["x", "red"], phrases: ["red and", "and yellow"] }, ["b"]],
    ["a phrase and no other word", { terms: [], phrases: ["is out"] }, ["a"]],
    ["a phrase that is nowhere", { terms: ["flag"], phrases: ["flag red flag"] }, []],
    ["operators in a phrase", { terms: ["red"], phrases: ['red" OR "rain'] }, []],
    ["the beginning of a word", { terms: ["redd"], prefix: true }, ["d"]],
    ["the beginning, for the last only", { terms: ["redd", "fl"], prefix: true }, ["a", "b", "c"]],
    ["nothing of a beginning without prefix", { terms: ["yell"] }, []],
  ])("find %s", async (...[, words, ids]) => {
    using dir = tempDir();
    await during(dir.path, { fts5: true }, async (store) => {
      const { key } = await store.createCollection(COLLECTION);
      const documents = Object.entries(texts).map(([id, text]) => written(id, text, { id }));
      await store.writeDocuments(key, documents);
      const search = { collectionKey: key, ...words };
      expect(await idsOf(store, search)).toEqual(ids);
      const only = ids.filter((id) => id === "b");
      const filter = parseFilter({ id: "b" });
      expect(await idsOf(store, { ...search, filter })).toEqual(only);
    });
  });
});
