import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { LocalStore, type LocalStoreOptions } from "../../../src/store/local/local-store.ts";
import type { Commit } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, vectorsIn, withVector, written } from "./fixtures.ts";
import { OPENERS, type Opener } from "./openers.ts";

async function openStore(open: Opener, options?: LocalStoreOptions) {
  const dir = tempDir();
  const store = await open(dir.path, options);
  const { key } = await store.createCollection(COLLECTION);
  const commits: Commit[] = [];
  store.onCommit((commit) => commits.push(commit));
  const before = store.transactions;
  return {
    store,
    key,
    commits,
    folder: dir.path,
    /** Since the collection was made. */
    transactions: () => store.transactions - before,
    async [Symbol.asyncDispose](): Promise<void> {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

const many = (count: number) =>
  Array.from({ length: count }, (_, at) => withVector(`d${at}`, [1, at]));

/** The code of the problem that each rejects with, or `ok`. */
async function codesOf(writes: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(writes);
  return outcomes.map((one) => (one.status === "fulfilled" ? "ok" : one.reason?.code));
}

describe.each(OPENERS)("%s commits together", (...[kind, open]) => {
  test("what 64 callers write at once", async () => {
    await using opened = await openStore(open);
    const { store, key, transactions } = opened;
    for (let round = 0; round < 5; round++) {
      const documents = Array.from({ length: 64 }, (_, at) =>
        withVector(`${round}-${at}`, [1, at]),
      );
      const rows = await Promise.all(
        documents.map((document) => store.writeDocuments(key, [document])),
      );
      const numbers = rows.map(([one]) => one?.sequence);
      expect(numbers).toEqual(documents.map((_, at) => round * 64 + at + 1));
    }
    // The thread that writes begins with the first ones while the others are on their way.
    const parts = kind === "LocalStore" ? 1 : 64 / limits.writesPerMessageMax;
    expect(transactions()).toBeWithin(5, 5 * parts + 1);
    expect(store.sequence).toBe(320);
    expect(await store.counts(key)).toEqual({ documents: 320, chunks: 320, pendingEmbeddings: 0 });
    expect(await vectorsIn(store, key)).toHaveLength(320);
    expect(await store.check()).toEqual([]);
  });

  test("at most so many documents, in the order of the calls", async () => {
    await using opened = await openStore(open);
    const { store, key, transactions, commits } = opened;
    const writes = Array.from({ length: 5 }, (_, at) =>
      store.writeDocuments(
        key,
        many(60).map((one) => ({ ...one, id: `${at}-${one.id}` })),
      ),
    );
    await Promise.all(writes);
    expect(transactions()).toBe(5);
    expect(commits.map(({ sequence }) => sequence)).toEqual([60, 120, 180, 240, 300]);
  });

  test("nothing where each write is to have a transaction of its own", async () => {
    await using opened = await openStore(open, { transactionDocumentsMax: 1 });
    const { store, key, transactions, commits } = opened;
    await Promise.all(many(10).map((document) => store.writeDocuments(key, [document])));
    expect(transactions()).toBe(10);
    expect(commits).toHaveLength(10);
  });

  test("writes of every kind, each seeing those before it", async () => {
    await using opened = await openStore(open);
    const { store, key, transactions } = opened;
    const [other, , , written_, deleted, , removed] = await Promise.all([
      store.createCollection({ ...COLLECTION, name: "other" }),
      store.putAlias("live", key),
      store.setFusion(key, { method: "weighted", weight: 0.25 }),
      store.writeDocuments(key, [written("a", "red"), written("b", "green")]),
      store.deleteDocuments(key, ["a", "nobody"]),
      store.putAnswer("k", { requestSha256: "0", answer: "1" }),
      store.removeAlias("live"),
    ]);
    expect(transactions()).toBe(1);
    expect(other.name).toBe("other");
    expect([written_.length, deleted, removed]).toEqual([2, 1, true]);
    expect(await store.counts(key)).toEqual({ documents: 1, chunks: 1, pendingEmbeddings: 1 });
    expect((await store.collection("rules"))?.fusion.weight).toBe(0.25);
    expect(await store.answer("k")).toEqual({ requestSha256: "0", answer: "1" });
  });

  test("and a write that fails fails alone, leaving nothing behind", async () => {
    await using opened = await openStore(open, { fts5: true });
    const { store, key, transactions, commits } = opened;
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const codes = await codesOf([
      store.writeDocuments(key, [withVector("a", [1, 0])]),
      store.writeDocuments(key, [withVector("lost", [1, 0]), written("b", "red", circular)]),
      store.createCollection(COLLECTION),
      store.writeDocuments(999, [written("a", "x")]),
      store.writeDocuments(key, [withVector("c", [0, 1])]),
    ]);
    expect(codes).toEqual(["ok", undefined, "name_taken", "collection_not_found", "ok"]);
    expect(transactions()).toBe(1);
    expect(store.sequence).toBe(2);
    expect(commits.flatMap(({ documents }) => documents)).toEqual([
      { id: "a", kind: "insert", sequence: 1 },
      { id: "c", kind: "insert", sequence: 2 },
    ]);
    expect(await store.document(key, "lost")).toBeUndefined();
    expect((await store.indexLog(key, { after: 0, limit: 9 })).map((one) => one.sequence)).toEqual([
      1, 2, 3, 4,
    ]);
    expect(await store.countKeyword({ collectionKey: key, terms: ["text"] })).toBe(2);
    expect(await store.check()).toEqual([]);
  });

  test("and a collection that is dropped in the same turn takes no document after that", async () => {
    await using opened = await openStore(open);
    const { store, key } = opened;
    const codes = await codesOf([
      store.writeDocuments(key, [written("a", "x")]),
      store.dropCollection(key),
      store.writeDocuments(key, [written("b", "x")]),
      store.deleteDocuments(key, ["a"]),
      store.createCollection(COLLECTION),
    ]);
    expect(codes).toEqual(["ok", "ok", "collection_not_found", "collection_not_found", "ok"]);
    expect(await store.check()).toEqual([]);
  });

  test("and tells listeners in order, before the promises of the writes", async () => {
    await using opened = await openStore(open);
    const { store, key } = opened;
    const other = (await store.createCollection({ ...COLLECTION, name: "other" })).key;
    const heard: string[] = [];
    const reads: Promise<unknown>[] = [];
    store.onCommit(({ collectionKey, sequence, documents }) => {
      heard.push(`${collectionKey === key ? "rules" : "other"} ${sequence}`);
      // What a listener hears of is there to be read.
      for (const { id } of documents) reads.push(store.document(collectionKey, id));
    });
    store.onCommit(({ sequence }) => heard.push(`again ${sequence}`));
    const write = async (collectionKey: number, id: string) => {
      await store.writeDocuments(collectionKey, [written(id, "x")]);
      heard.push(`answered ${id}`);
    };
    await Promise.all([write(key, "a"), write(key, "b"), write(other, "c"), write(key, "d")]);
    expect(heard.join()).toBe(
      "rules 2,again 2,other 3,again 3,rules 4,again 4,answered a,answered b,answered c,answered d",
    );
    expect((await Promise.all(reads)).every((row) => row !== undefined)).toBe(true);
  });

  test("and refuses a write while too much waits, and takes it afterwards", async () => {
    await using opened = await openStore(open);
    const { store, key } = opened;
    const full = limits.writesQueuedDocumentsMax / limits.documentsPerTransactionMax;
    const nobody = Array.from({ length: limits.documentsPerTransactionMax }, (_, at) => `n${at}`);
    const waiting = Array.from({ length: full }, () => store.deleteDocuments(key, nobody));
    const refused = await store.writeDocuments(key, [written("a", "x")]).catch((error) => error);
    expect(refused).toMatchObject({ code: "busy", retryAfterMs: 1000 });
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([0]));
    await store.writeDocuments(key, [written("a", "x")]);
    const megabytes = limits.writesQueuedBytesMax / limits.textBytesMax;
    const bulky = written("big", "x".repeat(limits.textBytesMax));
    const codes = await codesOf(
      Array.from({ length: megabytes + 1 }, () => store.writeDocuments(key, [bulky])),
    );
    expect(codes.filter((code) => code === "busy").length).toBeGreaterThan(0);
    expect(await store.countDocuments(key)).toBe(2);
  });

  test("and closing loses nothing that was called before, and takes nothing after", async () => {
    using dir = tempDir();
    const store = await open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    const heard: number[] = [];
    store.onCommit(({ sequence }) => heard.push(sequence));
    const gone = (await store.createCollection({ ...COLLECTION, name: "gone" })).key;
    await store.writeDocuments(gone, many(100));
    const writes = many(250).map((document) => store.writeDocuments(key, [document]));
    const dropping = store.dropCollection(gone);
    await store[Symbol.asyncDispose]();
    expect(heard.at(-1)).toBe(350);
    expect(await Promise.all(writes)).toHaveLength(250);
    await dropping;
    const late = await store.putAnswer("k", { requestSha256: "0", answer: "1" }).catch((e) => e);
    expect(late).toMatchObject({ code: "not_ready" });
    await using again = await LocalStore.open(dir.path);
    expect(await again.countDocuments(key)).toBe(250);
    // What was left of the dropped one is gone too.
    expect(await again.countDocuments(gone)).toBe(0);
    expect((await again.collections()).map(({ name }) => name)).toEqual(["rules"]);
  });

  test("with relaxed durability, and all is there after a restart", async () => {
    using dir = tempDir();
    let key = 0;
    {
      await using store = await open(dir.path, { durability: "relaxed" });
      key = (await store.createCollection(COLLECTION)).key;
      await Promise.all(many(100).map((document) => store.writeDocuments(key, [document])));
      await store.trimIndexLog(key, 10);
    }
    await using store = await open(dir.path);
    expect(await store.countDocuments(key)).toBe(100);
    expect(await store.indexState(key)).toEqual({ sequence: 200, trimmed: 10 });
  });
});
