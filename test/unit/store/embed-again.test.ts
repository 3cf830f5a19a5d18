import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { limits } from "../../../src/limits.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { migrateData } from "../../../src/store/local/migrate-data.ts";
import type { CollectionRow, Commit, DocumentWrite, Store } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, vectorsIn, withVector, written } from "./fixtures.ts";
import { OPENERS, type Opener } from "./openers.ts";

const OLD = "a".repeat(64);
const NEW = "b".repeat(64);
const ONE = new Float32Array([0, 1]);

/** A store with one collection, embedded by the old weights, which writes down what it is told. */
async function opened(open: Opener, documents: readonly DocumentWrite[] = []) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store: Store = stack.use(await open(dir.path));
  const { key } = await store.createCollection({ ...COLLECTION, modelSha256: OLD });
  if (documents.length > 0) await store.writeDocuments(key, documents);
  const commits: Commit[] = [];
  store.onCommit((commit) => commits.push(commit));
  const row = async (): Promise<CollectionRow> => {
    const found = await store.collection(COLLECTION.name);
    if (found === undefined) throw new Error("the collection is there");
    return found;
  };
  const left = async (upTo: number) => {
    const chunks = await store.chunksUpTo({ collectionKey: key, after: 0, upTo, limit: 1000 });
    return chunks.flatMap((chunk) => (chunk.isPending ? [] : [chunk.key]));
  };
  const owned = stack.move();
  return {
    store,
    key,
    commits,
    row,
    left,
    /** Gives the chunks of these keys another vector. */
    again: (keys: readonly number[]) =>
      store.embedAgain(
        key,
        keys.map((one) => ({ key: one, vector: ONE })),
      ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const THREE = ["a", "b", "c"].map((id) => withVector(id, [1, 0]));

describe.each(OPENERS)("embedding again in a %s", (_name, open) => {
  test("puts a chunk with a new key and vector in the place of each, and changes nothing else", async () => {
    await using world = await opened(open, THREE);
    const { store, key, commits } = world;
    const before = await store.documents({ collectionKey: key, limit: 10 });
    const { upTo, chunks } = await store.beginEmbedAgain(key, NEW);
    expect(chunks).toBe(3);
    const old = await world.left(upTo);
    const log = await store.indexState(key);
    expect(await world.again(old.slice(0, 2))).toBe(2);

    expect(await store.documents({ collectionKey: key, limit: 10 })).toEqual(before);
    expect(await store.counts(key)).toEqual({ documents: 3, chunks: 3, pendingEmbeddings: 0 });
    expect(await world.left(upTo)).toEqual(old.slice(2));
    const vectors = await vectorsIn(store, key);
    expect(vectors.map(({ vector }) => [...vector])).toEqual([
      [1, 0],
      [0, 1],
      [0, 1],
    ]);
    const [first = 0, second = 0] = vectors.slice(1).map((one) => one.key);
    expect(first).toBeGreaterThan(upTo);
    const hits = await store.hits([...old, first, second]);
    const shown = [...hits.values()].map(({ id, text }) => `${id}: ${text}`);
    expect(new Set(shown)).toEqual(new Set(["a: text of a", "b: text of b", "c: text of c"]));
    // New before old, so that whoever stops between the two has one of them at least.
    const changes = await store.indexLog(key, { after: log.sequence, limit: 10 });
    expect(changes.map(({ chunkKey, change }) => [chunkKey, change])).toEqual([
      [first, "text"],
      [first, "vector"],
      [old[0] ?? 0, "removed"],
      [second, "text"],
      [second, "vector"],
      [old[1] ?? 0, "removed"],
    ]);
    expect(commits).toEqual([
      {
        collectionKey: key,
        sequence: 4,
        documents: [],
        indexSequence: log.sequence + 6,
        chunksRemoved: old.slice(0, 2),
        chunksAdded: 2,
        chunksPending: 0,
        chunkKeyLast: second,
      },
    ]);
    expect(store.sequence).toBe(4);
    expect(await store.check()).toEqual([]);
  });

  test("goes on where it was, and begins anew for other weights", async () => {
    await using world = await opened(open, THREE);
    const { store, key } = world;
    expect((await world.row()).embedAgain).toBe("no");
    const first = await store.beginEmbedAgain(key, NEW);
    expect(await world.row()).toMatchObject({ modelSha256: NEW, embedAgain: "other_weights" });
    await world.again((await world.left(first.upTo)).slice(0, 1));
    await store.writeDocuments(key, [withVector("d", [0, 1])]);
    expect(await store.beginEmbedAgain(key, NEW)).toEqual({ upTo: first.upTo, chunks: 2 });

    const third = await store.beginEmbedAgain(key, "c".repeat(64));
    expect(third.chunks).toBe(4);
    expect(third.upTo).toBeGreaterThan(first.upTo);
    // Back again: what the weights in between have made is beside theirs.
    expect((await store.beginEmbedAgain(key, NEW)).chunks).toBe(4);
    expect((await world.row()).embedAgain).toBe("other_weights");
  });

  test("by the same weights is told apart", async () => {
    await using world = await opened(open, THREE);
    const { store, key } = world;
    const { upTo } = await store.beginEmbedAgain(key, OLD);
    expect(await world.row()).toMatchObject({ modelSha256: OLD, embedAgain: "same_weights" });
    await world.again(await world.left(upTo));
    await store.endEmbedAgain(key);
    expect((await world.row()).embedAgain).toBe("no");
  });

  test("leaves those that wait to whoever embeds them, and ends without them", async () => {
    await using world = await opened(open, [...THREE, written("waits", "it waits")]);
    const { store, key } = world;
    const { upTo, chunks } = await store.beginEmbedAgain(key, NEW);
    expect(chunks).toBe(4);
    const old = await world.left(upTo);
    expect(old).toHaveLength(3);
    await world.again(old);
    await store.endEmbedAgain(key);
    expect(await world.row()).toMatchObject({ modelSha256: NEW, embedAgain: "no" });
    await store.endEmbedAgain(key);
    expect((await store.counts(key)).pendingEmbeddings).toBe(1);
  });

  test("reads no more rows at a time than are asked for, however many wait", async () => {
    const waiting = Array.from({ length: 5 }, (_, at) => written(`w${at}`, "it waits"));
    await using world = await opened(open, [...waiting, ...THREE]);
    const { store, key } = world;
    const { upTo } = await store.beginEmbedAgain(key, NEW);
    const first = await store.chunksUpTo({ collectionKey: key, after: 0, upTo, limit: 4 });
    expect(first.map(({ isPending }) => isPending)).toEqual([true, true, true, true]);
    const after = first.at(-1)?.key ?? 0;
    const rest = await store.chunksUpTo({ collectionKey: key, after, upTo, limit: 10 });
    expect(rest.map(({ isPending }) => isPending)).toEqual([true, false, false, false]);
  });

  test("leaves out chunks that are gone, that wait, and that are another collection's", async () => {
    await using world = await opened(open, [...THREE, written("waits", "it waits")]);
    const { store, key } = world;
    const other = await store.createCollection({ ...COLLECTION, name: "other" });
    await store.writeDocuments(other.key, [withVector("x", [1, 0])]);
    const { upTo } = await store.beginEmbedAgain(key, NEW);
    const [a] = await world.left(upTo);
    const [waiting] = await store.pending({ after: 0, limit: 1 });
    const [x] = await vectorsIn(store, other.key);
    await store.writeDocuments(key, [withVector("a", [0.6, 0.8])]);
    const { sequence } = store;
    expect(await world.again([a ?? 0, waiting?.key ?? 0, x?.key ?? 0])).toBe(0);
    expect(store.sequence).toBe(sequence);
    expect((await vectorsIn(store, other.key)).map((one) => one.key)).toEqual([x?.key ?? 0]);
  });

  test("takes a chunk in which the model finds nothing, and gives it back later", async () => {
    await using world = await opened(open, THREE);
    const { store, key } = world;
    const { upTo } = await store.beginEmbedAgain(key, NEW);
    const old = await world.left(upTo);
    await store.embedAgain(
      key,
      old.map((one) => ({ key: one, vector: undefined })),
    );
    expect(await vectorsIn(store, key)).toEqual([]);
    expect(await store.counts(key)).toMatchObject({ chunks: 3, pendingEmbeddings: 0 });
    await store.endEmbedAgain(key);
    const next = await store.beginEmbedAgain(key, OLD);
    await world.again(await world.left(next.upTo));
    expect(await vectorsIn(store, key)).toHaveLength(3);
    expect(await store.check()).toEqual([]);
  });

  test("is over with the collection", async () => {
    await using world = await opened(open, THREE);
    const { store, key } = world;
    const { upTo } = await store.beginEmbedAgain(key, NEW);
    const old = await world.left(upTo);
    await store.dropCollection(key);
    for (const work of [
      () => store.beginEmbedAgain(key, NEW),
      () => world.again(old),
      () => store.endEmbedAgain(key),
    ]) {
      expect((await problemOf(work)).code).toBe("collection_not_found");
    }
  });

  test("is bounded", async () => {
    await using world = await opened(open);
    const keys = Array.from({ length: limits.chunksEmbeddedAgainMax + 1 }, (_, index) => index);
    const refused = await world.again(keys).catch(String);
    expect(refused).toContain("a write is bounded");
  });

  test("by other weights makes queries that tell of leaving begin anew, and by the same does not", async () => {
    await using world = await opened(open, THREE);
    const { store, key } = world;
    const other = await store.createCollection({ ...COLLECTION, name: "other" });
    const keep = (query: string, collectionKey: number) =>
      store.keepStanding({
        collectionKey,
        matches: [],
        queries: [{ query, sequence: 3, knownFrom: 0 }],
      });
    await keep("mine", key);
    await keep("theirs", other.key);
    for (const [weights, sequence] of [
      [OLD, 3],
      [NEW, -1],
    ] as const) {
      const { upTo } = await store.beginEmbedAgain(key, weights);
      await world.again(await world.left(upTo));
      await store.endEmbedAgain(key);
      expect(await store.standingState("mine")).toEqual({ sequence, knownFrom: 0 });
    }
    expect(await store.standingState("theirs")).toEqual({ sequence: 3, knownFrom: 0 });
  });
});

test("SQLite's own tables of words stay in step", async () => {
  await using world = await opened((path) => LocalStore.open(path, { fts5: true }), THREE);
  const { store, key } = world;
  const { upTo } = await store.beginEmbedAgain(key, NEW);
  await world.again(await world.left(upTo));
  const found = await store.keyword({ collectionKey: key, terms: ["b"], limit: 10 });
  const hits = await store.hits(found.map(({ chunkKey }) => chunkKey));
  expect([...hits.values()].map(({ id }) => id)).toEqual(["b"]);
});

test.each([
  ["other weights", NEW, "mixed"],
  ["the same weights", OLD, OLD],
])(
  "an older program that finds chunks embedded in part by %s compares no mixture",
  async (_weights, weights, wanted) => {
    using dir = tempDir();
    {
      await using store = await LocalStore.open(dir.path);
      const { key } = await store.createCollection({ ...COLLECTION, modelSha256: OLD });
      await store.writeDocuments(key, THREE);
      await store.beginEmbedAgain(key, weights);
    }
    migrateData(dir.path, () => 5);
    using db = new Database(join(dir.path, "slipstream.db"), { readonly: true });
    const sha = db.query<{ sha: string }, []>("SELECT model_sha256 AS sha FROM collections").get();
    expect(sha?.sha).toBe(wanted);
  },
);
