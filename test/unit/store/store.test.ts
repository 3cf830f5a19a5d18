import { describe, expect, test } from "bun:test";
import { parseFilter } from "../../../src/store/filter.ts";
import type { Commit } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, vectorsIn, written } from "./fixtures.ts";
import { OPENERS } from "./openers.ts";

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

describe.each(OPENERS)("%s", (...[, open]) => {
  test("documents, vectors and the change number are there after a restart", async () => {
    using dir = tempDir();
    let key = 0;
    let epoch = "";
    {
      await using store = await open(dir.path, { fts5: true });
      key = (await store.createCollection(COLLECTION)).key;
      epoch = store.epoch;
      await store.writeDocuments(key, [written("a", "red flag"), written("b", "green flag")]);
      const [pending] = await store.pending({ after: 0, limit: 10 });
      await store.writeVectors(key, [
        { key: pending?.key ?? 0, vector: new Float32Array([0.6, 0.8]) },
      ]);
      expect(await store.counts(key)).toEqual({ documents: 2, chunks: 2, pendingEmbeddings: 1 });
    }
    await using store = await open(dir.path, { fts5: true });
    expect(store.epoch).toBe(epoch);
    expect(store.sequence).toBe(2);
    expect((await store.document(key, "a"))?.text).toBe("red flag");
    expect((await vectorsIn(store, key)).map(({ vector }) => [...vector])).toEqual([
      [Math.fround(0.6), Math.fround(0.8)],
    ]);
    expect((await store.keyword({ collectionKey: key, terms: ["flags"], limit: 5 })).length).toBe(
      2,
    );
  });

  test("upsert of the same id replaces its chunks; metadata alone keeps them", async () => {
    using dir = tempDir();
    await using store = await open(dir.path, { fts5: true });
    const { key } = await store.createCollection(COLLECTION);
    const commits: Commit[] = [];
    store.onCommit((commit) => commits.push(commit));
    await store.writeDocuments(key, [written("a", "red flag")]);
    await store.writeDocuments(key, [written("a", "red flag", { lap: 3 })]);
    expect(commits[1]?.chunksRemoved).toEqual([]);
    expect((await store.document(key, "a"))?.metadata).toEqual({ lap: 3 });
    const [again] = await store.writeDocuments(key, [written("a", "yellow flag")]);
    expect(again).toEqual({ id: "a", kind: "update", sequence: 3 });
    expect(commits[2]?.chunksRemoved.length).toBe(1);
    expect(await store.keyword({ collectionKey: key, terms: ["red"], limit: 5 })).toEqual([]);
    expect((await store.keyword({ collectionKey: key, terms: ["yellow"], limit: 5 })).length).toBe(
      1,
    );
  });

  test("a vector that comes after its chunk was replaced is left out", async () => {
    using dir = tempDir();
    await using store = await open(dir.path, { fts5: true });
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("a", "first")]);
    const [old] = await store.pending({ after: 0, limit: 1 });
    await store.writeDocuments(key, [written("a", "second")]);
    await store.writeVectors(key, [{ key: old?.key ?? 0, vector: new Float32Array([1, 0]) }]);
    expect((await store.counts(key)).pendingEmbeddings).toBe(1);
    expect(await vectorsIn(store, key)).toEqual([]);
  });

  test("a second owner is refused by a sentence that names the first", async () => {
    using dir = tempDir();
    await using store = await open(dir.path, { fts5: true });
    store.announce("http://127.0.0.1:4242");
    const error = await open(dir.path, { fts5: true }).catch((reason: unknown) => reason);
    expect(String(error)).toContain(`process ${process.pid}`);
    expect(String(error)).toContain("http://127.0.0.1:4242");
    expect(error).toHaveProperty("code", "data_locked");
  });

  test("dropping a collection frees its name at once and removes its rows", async () => {
    using dir = tempDir();
    await using store = await open(dir.path, { fts5: true });
    const { key } = await store.createCollection(COLLECTION);
    await store.putAlias("live", key);
    for (let start = 0; start < 300; start += 100) {
      const slice = Array.from({ length: 100 }, (_, index) => written(`d${start + index}`, "text"));
      await store.writeDocuments(key, slice);
    }
    await store.dropCollection(key);
    expect(await store.collection("rules")).toBeUndefined();
    expect(await store.collection("live")).toBeUndefined();
    expect(await store.counts(key)).toEqual({ documents: 0, chunks: 0, pendingEmbeddings: 0 });
    const fresh = await store.createCollection(COLLECTION);
    expect(await store.keyword({ collectionKey: fresh.key, terms: ["text"], limit: 5 })).toEqual(
      [],
    );
  });

  test("a name serves one collection or alias only", async () => {
    using dir = tempDir();
    await using store = await open(dir.path, { fts5: true });
    const { key } = await store.createCollection(COLLECTION);
    expect(await codeOf(store.createCollection(COLLECTION))).toBe("name_taken");
    expect(await codeOf(store.putAlias("rules", key))).toBe("name_taken");
    await store.putAlias("live", key);
    expect(await codeOf(store.createCollection({ ...COLLECTION, name: "live" }))).toBe(
      "name_taken",
    );
    expect((await store.collection("live"))?.name).toBe("rules");
    expect(await store.removeAlias("live")).toBe(true);
    expect(await store.removeAlias("live")).toBe(false);
  });

  test("words that look like operators of a query language are only words", async () => {
    using dir = tempDir();
    await using store = await open(dir.path, { fts5: true });
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("a", 'NEAR the "pit" AND wall*')]);
    for (const odd of [
      '"',
      "AND",
      "NEAR(",
      "pit*",
      "a:b",
      "^pit",
      "-",
      "\0pit",
      "text : x",
      "((((",
    ]) {
      await store.keyword({ collectionKey: key, terms: [odd], limit: 5 });
    }
    expect((await store.keyword({ collectionKey: key, terms: ["AND"], limit: 5 })).length).toBe(1);
  });

  test("facets count values, one for each element of a list", async () => {
    using dir = tempDir();
    await using store = await open(dir.path, { fts5: true });
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [
      written("a", "x", { kind: "rule", tags: ["wet", "dry"], n: 1 }),
      written("b", "x", { kind: "rule", tags: ["wet"], n: 2 }),
      written("c", "x", { kind: true, n: 2 }),
    ]);
    expect(await store.facet(key, { path: ["kind"], limit: 10 })).toEqual([
      { value: "rule", count: 2 },
      { value: true, count: 1 },
    ]);
    const filter = parseFilter({ n: 2 });
    expect(await store.facet(key, { path: ["tags"], filter, limit: 10 })).toEqual([
      { value: "wet", count: 1 },
    ]);
  });
});
