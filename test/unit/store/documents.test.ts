import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { limits } from "../../../src/limits.ts";
import { parseFilter } from "../../../src/store/filter.ts";
import type { ChunkRow, Commit } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, vectorsIn, withVector, written } from "./fixtures.ts";
import { OPENERS, type Opener } from "./openers.ts";

const SEED = 7;

async function openStore(open: Opener) {
  const dir = tempDir();
  const store = await open(dir.path, { fts5: true });
  const { key } = await store.createCollection(COLLECTION);
  return {
    store,
    key,
    path: join(dir.path, "slipstream.db"),
    async [Symbol.asyncDispose](): Promise<void> {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

/** Chunks that tile a text, each reaching `overlaps` back into those before it. */
function tiled(text: string, cuts: readonly number[], overlaps: readonly number[]): ChunkRow[] {
  const inner = cuts.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b);
  const borders = [0, ...inner, text.length];
  return borders.slice(1).map((end, index) => {
    const start = borders[index] ?? 0;
    return { start: Math.max(0, start - (overlaps[index] ?? 0)), end, heading: null };
  });
}

const answer = (text: string) => ({ requestSha256: "0", answer: text });

describe.each(OPENERS)("%s", (...[, open]) => {
  describe("a document's text", () => {
    test("comes back exactly from chunks that overlap, wherever they were cut", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      await fc.assert(
        fc.asyncProperty(
          fc.string({ unit: "grapheme", maxLength: 60 }).filter((text) => !text.includes("\0")),
          fc.array(fc.nat(), { maxLength: 5 }),
          fc.array(fc.nat(20), { maxLength: 6 }),
          async (text, cuts, overlaps) => {
            // A cut may not part a surrogate pair: the halves are no text.
            const chunks = tiled(text, cuts, overlaps);
            fc.pre(chunks.every(({ start, end }) => text.slice(start, end).isWellFormed()));
            await store.writeDocuments(key, [{ ...written("a", text), chunks }]);
            expect((await store.document(key, "a"))?.text).toBe(text);
          },
        ),
        { seed: SEED, numRuns: 100 },
      );
    });

    test("is null where there is none, and empty where it is empty", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const chunks = [{ start: 0, end: 0, heading: null }];
      await store.writeDocuments(key, [
        { id: "a", title: "only a title", text: null, metadata: {}, chunks },
        { id: "b", title: null, text: "", metadata: {}, chunks },
      ]);
      expect((await store.document(key, "a"))?.text).toBeNull();
      expect((await store.document(key, "b"))?.text).toBe("");
      const [match] = await store.keyword({ collectionKey: key, terms: ["title"], limit: 5 });
      const hit = (await store.hits([match?.chunkKey ?? 0])).get(match?.chunkKey ?? 0);
      expect(hit).toMatchObject({ id: "a", title: "only a title", text: null });
    });
  });

  describe("documents", () => {
    test("are listed page by page in the order of code points, without gap or repeat", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      // U+1F600 comes after U+FB00 by code point and before it by UTF-16 unit.
      const ids = ["a", "A", "b", "é", "z", "😀", "ﬀ", "10", "9", " "];
      await store.writeDocuments(
        key,
        ids.map((id) => written(id, "x")),
      );
      const listed: string[] = [];
      for (let after = ""; ; after = listed.at(-1) ?? "") {
        const page = await store.documents({ collectionKey: key, after, limit: 3 });
        if (page.length === 0) break;
        listed.push(...page.map(({ id }) => id));
      }
      expect(listed).toEqual(
        [...ids].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    });

    test("of two collections with the same ids do not meet", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const other = (await store.createCollection({ ...COLLECTION, name: "other" })).key;
      await store.writeDocuments(key, [written("a", "red flag")]);
      await store.writeDocuments(other, [written("a", "green flag")]);
      expect(await store.deleteDocuments(other, ["a"])).toBe(1);
      expect((await store.document(key, "a"))?.text).toBe("red flag");
      const search = { terms: ["flag"], limit: 5 };
      expect(await store.keyword({ collectionKey: other, ...search })).toEqual([]);
      expect(await store.keyword({ collectionKey: key, ...search })).toHaveLength(1);
    });

    test("that are deleted are gone from everything, and only those that were there are counted", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      await store.writeDocuments(key, [withVector("a", [1, 0]), withVector("b", [0, 1])]);
      const commits: Commit[] = [];
      store.onCommit((commit) => commits.push(commit));
      expect(await store.deleteDocuments(key, ["a", "nobody", "a"])).toBe(1);
      expect(commits[0]).toMatchObject({
        sequence: 3,
        documents: [{ id: "a", kind: "delete", sequence: 3 }],
        chunksRemoved: [expect.any(Number)],
      });
      expect(await store.document(key, "a")).toBeUndefined();
      expect(await vectorsIn(store, key)).toHaveLength(1);
      expect(await store.counts(key)).toEqual({ documents: 1, chunks: 1, pendingEmbeddings: 0 });
    });

    test("of one batch are written all or none", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const commits: Commit[] = [];
      store.onCommit((commit) => commits.push(commit));
      const circular: Record<string, unknown> = {};
      circular["self"] = circular;
      const batch = [written("a", "x"), written("b", "x", circular)];
      expect(await store.writeDocuments(key, batch).catch(() => "refused")).toBe("refused");
      expect(await store.document(key, "a")).toBeUndefined();
      expect([store.sequence, commits.length]).toEqual([0, 0]);
      await store.writeDocuments(key, [written("a", "x")]);
      expect(store.sequence).toBe(1);
    });

    test("with the same id twice in one batch leave the last one, with one chunk", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const results = await store.writeDocuments(key, [
        written("a", "first"),
        written("a", "last"),
      ]);
      expect(results.map(({ kind, sequence }) => [kind, sequence])).toEqual([
        ["insert", 1],
        ["update", 2],
      ]);
      expect((await store.document(key, "a"))?.text).toBe("last");
      expect(await store.counts(key)).toEqual({ documents: 1, chunks: 1, pendingEmbeddings: 1 });
    });

    test("keep the time they were made when they are replaced", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      await store.writeDocuments(key, [written("a", "x")]);
      const first = await store.document(key, "a");
      await store.writeDocuments(key, [written("a", "y")]);
      const second = await store.document(key, "a");
      expect(second?.createdAt).toBe(first?.createdAt ?? "");
      expect(second?.key).toBe(first?.key ?? 0);
      expect(second?.sequence).toBe(2);
    });
  });

  describe("the keyword index", () => {
    test("ranks by BM25, best first, and stops at the limit", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      await store.writeDocuments(key, [
        written("once", "the flag is out and the marshals wait for the cars to come round again"),
        written("often", "flag flag flag"),
        written("never", "tyres"),
      ]);
      const found = await store.keyword({ collectionKey: key, terms: ["flag"], limit: 10 });
      const hits = await store.hits(found.map(({ chunkKey }) => chunkKey));
      expect(found.map(({ chunkKey }) => hits.get(chunkKey)?.id)).toEqual(["often", "once"]);
      expect(found[0]?.score).toBeGreaterThan(found[1]?.score ?? Infinity);
      expect(await store.keyword({ collectionKey: key, terms: ["flag"], limit: 1 })).toHaveLength(
        1,
      );
    });

    test("finds any of the words, titles too, in any form, only where the filter holds", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      await store.writeDocuments(key, [
        { ...written("a", "x", { lap: 1 }), title: "Racing Élan" },
        written("b", "he races", { lap: 2 }),
        written("c", "rain", { lap: 2 }),
      ]);
      const found = async (terms: string[], filter?: unknown) => {
        const scope = filter === undefined ? {} : { filter: parseFilter(filter) };
        const search = { collectionKey: key, terms, ...scope };
        const chunks = await store.keyword({ ...search, limit: 10 });
        expect(await store.countKeyword(search)).toBe(chunks.length);
        const hits = await store.hits(chunks.map(({ chunkKey }) => chunkKey));
        return [...hits.values()].map(({ id }) => id).toSorted();
      };
      expect(await found(["raced"])).toEqual(["a", "b"]);
      expect(await found(["elan", "rain"])).toEqual(["a", "c"]);
      expect(await found(["raced", "rain"], { lap: 2 })).toEqual(["b", "c"]);
      expect(await found(["raced"], { lap: { $ne: 2 } })).toEqual(["a"]);
      expect(await found(["raced"], { lap: 3 })).toEqual([]);
    });
  });

  describe("word frequencies", () => {
    test("say in how many chunks of the collection a word stands", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const other = (await store.createCollection({ ...COLLECTION, name: "other" })).key;
      await store.writeDocuments(key, [
        { ...written("a", "red flags, red lights"), title: "red" },
        written("b", "a flag"),
        written("c", "rain"),
      ]);
      await store.writeDocuments(other, [written("a", "red")]);
      const forms = ["red", "flag", "rain", "nothing"];
      expect(await store.wordFrequencies(key, forms)).toEqual({ chunks: 3, counts: [1, 2, 1, 0] });
      await store.deleteDocuments(key, ["a"]);
      expect(await store.wordFrequencies(key, forms)).toEqual({ chunks: 2, counts: [0, 1, 1, 0] });
      expect(await store.wordFrequencies(other, forms)).toEqual({
        chunks: 1,
        counts: [1, 0, 0, 0],
      });
    });

    test("can be asked for, and the collection dropped, though its first write was undone", async () => {
      await using opened = await openStore(open);
      const { store, key } = opened;
      const circular: Record<string, unknown> = {};
      circular["self"] = circular;
      const batch = [written("a", "red"), written("b", "red", circular)];
      expect(await store.writeDocuments(key, batch).catch(() => "undone")).toBe("undone");
      await store.writeDocuments(key, [written("a", "red")]);
      expect(await store.wordFrequencies(key, ["red"])).toEqual({ chunks: 1, counts: [1] });
      await store.dropCollection(key);
      expect(await store.collections()).toEqual([]);
    });
  });

  describe("answers by Idempotency-Key", () => {
    test("are kept for a day and no longer", async () => {
      await using opened = await openStore(open);
      const { store } = opened;
      await store.putAnswer("a", answer("1"));
      expect(await store.answer("a")).toEqual(answer("1"));
      using db = new Database(opened.path);
      const age = (hours: number) =>
        db.run("UPDATE idempotency SET created_at_ms = ?", [Date.now() - hours * 3_600_000]);
      age(23.9);
      expect(await store.answer("a")).toEqual(answer("1"));
      age(24);
      expect(await store.answer("a")).toBeUndefined();
      await store.putAnswer("b", answer("2"));
      expect(db.query("SELECT key FROM idempotency").all()).toEqual([{ key: "b" }]);
    });

    test("are bounded in number, the oldest going first", async () => {
      await using opened = await openStore(open);
      const { store } = opened;
      using db = new Database(opened.path);
      db.run(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO idempotency SELECT 'k' || i, '0', '{}', ? - i FROM n`,
        [limits.idempotencyKeysMax, Date.now()],
      );
      await store.putAnswer("new", answer("1"));
      expect(db.query("SELECT count(*) AS count FROM idempotency").get()).toEqual({
        count: limits.idempotencyKeysMax,
      });
      expect(await store.answer(`k${limits.idempotencyKeysMax}`)).toBeUndefined();
      expect(await store.answer("k1")).toBeDefined();
      expect(await store.answer("new")).toBeDefined();
    });
  });
});
