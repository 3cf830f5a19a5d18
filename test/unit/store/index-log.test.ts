import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import type { Commit, DocumentWrite } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, slicesOf, vectorsIn, withVector, written } from "./fixtures.ts";
import { OPENERS, type Opener } from "./openers.ts";

const ALL = { after: 0, limit: 100_000 };
const X = new Float32Array([1, 0]);

/** A document of one chunk without a word. */
const wordless = (id: string): DocumentWrite => ({
  id,
  title: null,
  text: null,
  metadata: {},
  chunks: [{ start: 0, end: 0, heading: null }],
});

async function openStore(open: Opener) {
  const dir = tempDir();
  const store = await open(dir.path);
  const { key } = await store.createCollection(COLLECTION);
  const commits: Commit[] = [];
  store.onCommit((commit) => commits.push(commit));
  return {
    store,
    key,
    commits,
    path: join(dir.path, "slipstream.db"),
    /** The log as `change` and the number of the chunk among all ever added. */
    log: async (after = 0) =>
      (await store.indexLog(key, { ...ALL, after })).map(({ change, chunkKey }) => [
        change,
        chunkKey,
      ]),
    async [Symbol.asyncDispose](): Promise<void> {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

describe.each(OPENERS)("%s", (...[, open]) => {
  describe("the index log", () => {
    test("tells what came and what went, in the order in which it did", async () => {
      await using opened = await openStore(open);
      const { store, key, log } = opened;
      await store.writeDocuments(key, [withVector("a", [1, 0]), written("b", "red flag")]);
      await store.writeVectors(key, [{ key: 2, vector: X }]);
      await store.writeDocuments(key, [written("a", "rain")]);
      await store.deleteDocuments(key, ["b", "nobody"]);
      expect(await log()).toEqual([
        ["text", 1],
        ["vector", 1],
        ["text", 2],
        ["vector", 2],
        ["removed", 1],
        ["text", 3],
        ["removed", 2],
      ]);
      const numbers = (await store.indexLog(key, ALL)).map(({ sequence }) => sequence);
      expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect(await store.indexState(key)).toEqual({ sequence: 7, trimmed: 0 });
      expect(await log(5)).toEqual([
        ["text", 3],
        ["removed", 2],
      ]);
      expect(await store.indexLog(key, { after: 2, limit: 1 })).toEqual([
        { sequence: 3, chunkKey: 2, change: "text" },
      ]);
    });

    test("tells of one commit that adds a chunk and replaces it again, and so does the commit", async () => {
      await using opened = await openStore(open);
      const { store, key, log, commits } = opened;
      await store.writeDocuments(key, [withVector("a", [1, 0]), withVector("a", [0, 1])]);
      expect(await log()).toEqual([
        ["text", 1],
        ["vector", 1],
        ["removed", 1],
        ["text", 2],
        ["vector", 2],
      ]);
      expect(commits).toMatchObject([
        {
          indexSequence: 5,
          chunksRemoved: [1],
          chunksAdded: 2,
          chunkKeyLast: 2,
        },
      ]);
    });

    test("says nothing of words that are not there, of metadata, or of vectors that come too late", async () => {
      await using opened = await openStore(open);
      const { store, key, log, commits } = opened;
      await store.writeDocuments(key, [wordless("a")]);
      expect(await log()).toEqual([]);
      await store.writeDocuments(key, [{ ...wordless("a"), metadata: { lap: 1 } }]);
      await store.writeVectors(key, [
        { key: 1, vector: undefined },
        { key: 999, vector: X },
      ]);
      expect(await log()).toEqual([]);
      expect(await store.indexState(key)).toEqual({ sequence: 0, trimmed: 0 });
      expect(commits.map(({ indexSequence }) => indexSequence)).toEqual([0, 0, 0]);
    });

    test("of a write that is undone has nothing", async () => {
      await using opened = await openStore(open);
      const { store, key, log } = opened;
      const circular: Record<string, unknown> = {};
      circular["self"] = circular;
      const batch = [written("a", "x"), written("b", "x", circular)];
      expect(await store.writeDocuments(key, batch).catch(() => "undone")).toBe("undone");
      expect(await log()).toEqual([]);
      await store.writeDocuments(key, [written("a", "x")]);
      expect(await store.indexState(key)).toEqual({ sequence: 1, trimmed: 0 });
    });

    test("is each collection's own, and goes with it", async () => {
      await using opened = await openStore(open);
      const { store, key, log } = opened;
      const other = (await store.createCollection({ ...COLLECTION, name: "other" })).key;
      await store.writeDocuments(other, [written("a", "x")]);
      await store.writeDocuments(key, [written("a", "x")]);
      expect(await log()).toEqual([["text", 2]]);
      expect(await store.indexLog(other, ALL)).toEqual([
        { sequence: 1, chunkKey: 1, change: "text" },
      ]);
      await store.dropCollection(other);
      expect(await store.indexLog(other, ALL)).toEqual([]);
      expect(await store.indexState(other)).toEqual({ sequence: 0, trimmed: 0 });
      expect(await log()).toEqual([["text", 2]]);
    });

    test("that is being cut off holds nobody up who closes the store", async () => {
      using dir = tempDir();
      const store = await open(dir.path);
      const { key } = await store.createCollection(COLLECTION);
      const trimming = store.trimIndexLog(key, 1_000_000);
      await store[Symbol.asyncDispose]();
      await trimming;
      using db = new Database(join(dir.path, "slipstream.db"), { readonly: true });
      const row = db
        .query<{ cut: number }, []>("SELECT index_trimmed AS cut FROM collections")
        .get();
      expect(row?.cut).toBeGreaterThan(0);
      expect(row?.cut).toBeLessThan(1_000_000);
    });
  });

  describe("what an index reads of the store", () => {
    test("are keys of chunks with words, or with vectors, page by page, and only what is there", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const other = (await store.createCollection({ ...COLLECTION, name: "other" })).key;
      await store.writeDocuments(other, [withVector("a", [1, 0])]);
      await store.writeDocuments(key, [
        withVector("a", [1, 0]),
        written("b", "rain"),
        { ...wordless("c"), title: "only a title" },
        wordless("d"),
        { ...wordless("e"), vector: X },
      ]);
      const keys = (what: "text" | "vector", after = 0, limit = 100) =>
        store.indexedKeys(key, { what, after, limit });
      expect(await keys("text")).toEqual([2, 3, 4]);
      expect(await keys("vector")).toEqual([2, 6]);
      expect(await keys("text", 2, 1)).toEqual([3]);
      expect(await store.chunkTexts([6, 4, 3, 1, 999])).toEqual([
        { key: 1, title: null, text: "text of a" },
        { key: 3, title: null, text: "rain" },
        { key: 4, title: "only a title", text: null },
        { key: 6, title: null, text: null },
      ]);
      expect(await store.chunkVectors([3, 6, 999])).toEqual([{ key: 6, vector: X }]);
      await store.deleteDocuments(key, ["a", "e"]);
      expect(await keys("text")).toEqual([3, 4]);
      expect(await keys("vector")).toEqual([]);
      expect(await store.chunkTexts([2, 3])).toMatchObject([{ key: 3 }]);
      expect(await vectorsIn(store, key)).toEqual([]);
    });

    test("reaches every chunk of many pages once", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const many = Array.from({ length: 500 }, (_, at) => withVector(`d${at}`, [1, at]));
      for (const slice of slicesOf(many)) await store.writeDocuments(key, slice);
      const seen: number[] = [];
      for (let after = 0; ; after = seen.at(-1) ?? 0) {
        const page = await store.indexedKeys(key, { what: "vector", after, limit: 99 });
        if (page.length === 0) break;
        seen.push(...page);
      }
      expect(seen).toEqual(many.map((_, at) => at + 1));
    });
  });
});

// Whoever calls the store from the thread that writes sees it between two slices.
test("the index log is cut off up to a number, in slices, and never back again", async () => {
  await using opened = await openStore((folder) => LocalStore.open(folder));
  const { store, key } = opened;
  const count = 12_345;
  {
    using db = new Database(opened.path);
    db.run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO index_log SELECT ?, i, i, 0 FROM n`,
      [count, key],
    );
    db.run("UPDATE collections SET index_sequence = ?", [count]);
  }
  const trimming = store.trimIndexLog(key, count - 5);
  // Between two slices others get their turn: the log is cut off by now, and not yet where it should be.
  const { trimmed } = await store.indexState(key);
  expect(trimmed).toBeGreaterThan(0);
  expect(trimmed).toBeLessThan(count - 5);
  expect((await store.indexLog(key, { after: 0, limit: 1 }))[0]?.sequence).toBe(trimmed + 1);
  await trimming;
  expect(await store.indexState(key)).toEqual({ sequence: count, trimmed: count - 5 });
  expect(await store.indexLog(key, ALL)).toHaveLength(5);
  await store.trimIndexLog(key, 7);
  await store.trimIndexLog(999, 7);
  expect(await store.indexState(key)).toEqual({ sequence: count, trimmed: count - 5 });
});
