import { describe, expect, test } from "bun:test";
import type { DocumentWrite, Store } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { limits } from "../../../src/limits.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, withVector, written } from "./fixtures.ts";
import { OPENERS, type Opener } from "./openers.ts";

/** A store with one collection. */
async function opened(open: Opener) {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store: Store = stack.use(await open(dir.path));
  const { key } = await store.createCollection(COLLECTION);
  return {
    store,
    key,
    put: (...documents: DocumentWrite[]) => store.writeDocuments(key, documents),
    changes: (options: { after?: number; upTo?: number; limit?: number; vectors?: boolean } = {}) =>
      store.changedDocuments(key, { after: 0, limit: 100, vectors: false, ...options }),
    async embed(id: string) {
      const pending = await store.pending({ after: 0, limit: 100 });
      const chunks = pending.filter(({ text }) => text.startsWith(id));
      const vectors = chunks.map((chunk) => ({ key: chunk.key, vector: new Float32Array([1, 0]) }));
      await store.writeVectors(key, vectors);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe.each(OPENERS)("changed documents of a %s", (_name, open) => {
  test("come once each, with their last change and what they are now", async () => {
    await using world = await opened(open);
    await world.put(written("a", "a first"), written("b", "b"), withVector("c", [0, 1]));
    await world.put({ ...written("a", "a again", { lap: 2 }), title: "A" });
    await world.store.deleteDocuments(world.key, ["b"]);
    const page = await world.changes();
    expect(page).toMatchObject({ upTo: 5, done: true, waits: false });
    expect(page.changes.map(({ id, sequence, inserted }) => [id, sequence, inserted])).toEqual([
      ["c", 3, 3],
      ["a", 4, 1],
      ["b", 5, 2],
    ]);
    const [c, a, b] = page.changes;
    expect(c?.document?.chunks).toEqual([{ start: 0, text: "text of c", vector: undefined }]);
    expect(a?.document).toMatchObject({ title: "A", metadata: '{"lap":2}' });
    expect(b?.document).toBeUndefined();
  });

  test("begin another life when they are written again after their end", async () => {
    await using world = await opened(open);
    await world.put(written("a", "a"));
    await world.store.deleteDocuments(world.key, ["a"]);
    await world.put(written("a", "a"));
    await world.put(written("a", "a", { lap: 1 }));
    const { changes } = await world.changes();
    expect(changes.map(({ id, sequence, inserted }) => [id, sequence, inserted])).toEqual([
      ["a", 4, 3],
    ]);
  });

  test("come in pages, up to where they are wanted, and say where the next page begins", async () => {
    await using world = await opened(open);
    await world.put(...["a", "b", "c", "d"].map((id) => written(id, id)));
    const first = await world.changes({ limit: 3 });
    expect([first.changes.length, first.upTo, first.done]).toEqual([3, 3, false]);
    const second = await world.changes({ after: 3, limit: 3 });
    expect([second.changes.length, second.upTo, second.done]).toEqual([1, 4, true]);
    const some = await world.changes({ upTo: 2 });
    expect([some.changes.length, some.upTo, some.done]).toEqual([2, 2, true]);
    const none = await world.changes({ after: 4 });
    expect([none.changes.length, none.upTo, none.done]).toEqual([0, 4, true]);
  });

  test("end a page early where they are large", async () => {
    await using world = await opened(open);
    const large = "x".repeat(3 * 1024 * 1024);
    await world.put(...["a", "b", "c"].map((id) => written(id, large)));
    const page = await world.changes();
    expect([page.changes.length, page.upTo, page.done]).toEqual([2, 2, false]);
  });

  test("with their vectors stop before one that waits for its own", async () => {
    await using world = await opened(open);
    await world.put(withVector("a", [0, 1]), written("b", "b"), written("c", "c"));
    const waiting = await world.changes({ vectors: true });
    expect(waiting).toMatchObject({ upTo: 1, done: true, waits: true });
    expect(waiting.changes[0]?.document?.chunks[0]?.vector).toEqual(new Float32Array([0, 1]));
    expect(await world.store.embeddedUpTo(world.key)).toBe(1);
    await world.embed("c");
    expect((await world.changes({ vectors: true })).upTo).toBe(1);
    await world.embed("b");
    const all = await world.changes({ vectors: true });
    expect(all).toMatchObject({ upTo: 3, done: true, waits: false });
    expect(await world.store.embeddedUpTo(world.key)).toBe(3);
  });

  test("are new to who waits for vectors until a version had them", async () => {
    await using world = await opened(open);
    const inserted = async () => (await world.changes({ vectors: true })).changes[0]?.inserted;
    await world.put(written("a", "a 1"));
    await world.put(written("a", "a 2"));
    await world.put(written("a", "a 3"));
    await world.embed("a");
    expect(await inserted()).toBe(3);
    expect((await world.changes()).changes[0]?.inserted).toBe(1);
    await world.put(written("a", "a 4"));
    await world.put(written("a", "a 5"));
    await world.embed("a");
    expect(await inserted()).toBe(3);
  });

  test("can be gone through by their ids, with what waits for vectors or without it", async () => {
    await using world = await opened(open);
    await world.put(written("c", "c"), withVector("a", [0, 1]), written("b", "b"));
    const idsOf = async (after: string, vectors: boolean) => {
      const page = await world.store.documentContents(world.key, { after, limit: 2, vectors });
      return [...page.documents.map(({ id }) => id), page.last];
    };
    expect(await idsOf("", false)).toEqual(["a", "b", "b"]);
    expect(await idsOf("", true)).toEqual(["a", "b"]);
    expect(await idsOf("b", true)).toEqual(["c"]);
    expect(await idsOf("c", true)).toEqual([undefined]);
  });

  test("can be counted, and looked up from the end", async () => {
    await using world = await opened(open);
    await world.put(...["a", "b", "c"].map((id) => written(id, id)));
    const other = await world.store.createCollection({ ...COLLECTION, name: "other" });
    await world.store.writeDocuments(other.key, [written("x", "x")]);
    await world.put(written("b", "b"));
    const { store, key } = world;
    expect(await store.countChanges(key, { after: 0, limit: 10 })).toBe(3);
    expect(await store.countChanges(key, { after: 1, upTo: 3, limit: 10 })).toBe(1);
    expect(await store.countChanges(key, { after: 0, limit: 2 })).toBe(2);
    expect(await store.changeBefore(key, 0)).toBe(5);
    expect(await store.changeBefore(key, 2)).toBe(1);
    expect(await store.changeBefore(key, 3)).toBe(0);
  });

  test("are refused of a collection that was dropped", async () => {
    await using world = await opened(open);
    await world.put(written("a", "a"));
    await world.store.dropCollection(world.key);
    expect((await problemOf(() => world.changes())).code).toBe("collection_not_found");
  });
});

const match = (documentId: string, sequence: number, inside: boolean) => ({
  query: "q",
  documentId,
  sequence,
  inside,
});

const queryOf = (n: number) => ({ query: `q${n}`, sequence: n, knownFrom: 0 });

describe.each(OPENERS)("what a %s keeps of queries that tell of leaving", (_name, open) => {
  test("is there until it is forgotten, or its collection is dropped", async () => {
    await using world = await opened(open);
    await world.put(written("a", "a"), written("b", "b"));
    const { store, key } = world;
    expect(await store.standingState("q")).toBeUndefined();
    await store.keepStanding({
      collectionKey: key,
      queries: [{ query: "q", sequence: -1, knownFrom: 7 }],
      matches: [match("a", 1, true), match("b", 2, true)],
    });
    expect(await store.standingState("q")).toEqual({ sequence: -1, knownFrom: 7 });
    expect(await store.standingInside(key, "a")).toEqual(["q"]);
    await store.deleteDocuments(key, ["b"]);
    expect(await store.standingGone("q", { upTo: 2 })).toEqual([]);
    expect(await store.standingGone("q", { upTo: 3 })).toEqual([{ documentId: "b", sequence: 3 }]);
    const queries = [{ query: "q", sequence: 9 }];
    const matches = [match("b", 3, false), match("a", 4, false)];
    await store.keepStanding({ collectionKey: key, queries, matches });
    expect(await store.standingState("q")).toEqual({ sequence: 9, knownFrom: 7 });
    expect(await store.standingInside(key, "a")).toEqual([]);
    const range = { after: 0, upTo: 4, limit: 10 };
    const left = await store.standingLeft("q", range);
    expect(left.map(({ documentId }) => documentId)).toEqual(["b", "a"]);
    expect(await store.standingLeft("q", { ...range, after: 3 })).toHaveLength(1);
    await store.keepStanding({ collectionKey: key, queries, matches: [], forgetUpTo: 3 });
    expect(await store.standingLeft("q", range)).toHaveLength(1);
    expect(await store.forgetStanding({ usedBeforeMs: 0, except: [] })).toBe(false);
    expect(await store.standingState("q")).toBeDefined();
    await store.dropCollection(key);
    expect(await store.standingState("q")).toBeUndefined();
    // The matcher may be a moment behind.
    await store.keepStanding({ collectionKey: key, queries, matches });
    expect(await store.standingState("q")).toBeUndefined();
  });

  test("is forgotten slice by slice, is void from the first one on, and takes nothing late", async () => {
    await using world = await opened(open);
    const { store, key: collectionKey } = world;
    const rows = Array.from({ length: 4500 }, (_, n) => match(`d${n}`, n + 1, true));
    const state = { query: "q", sequence: 9, knownFrom: 7 };
    await store.keepStanding({ collectionKey, queries: [state], matches: rows });
    const old = { usedBeforeMs: Date.now() + 1, except: ["q"] };
    expect(await store.forgetStanding(old)).toBe(false);
    const except: string[] = [];
    expect(await store.forgetStanding({ ...old, except })).toBe(true);
    expect(await store.standingState("q")).toEqual({ sequence: -1, knownFrom: 7 });
    expect(await store.standingInside(collectionKey, "d4499")).toEqual(["q"]);
    while (await store.forgetStanding({ ...old, except }));
    expect(await store.standingState("q")).toBeUndefined();
    expect(await store.standingInside(collectionKey, "d4499")).toEqual([]);
    const late = { collectionKey, queries: [{ query: "q", sequence: 9 }], matches: rows };
    await store.keepStanding(late);
    expect(await store.standingState("q")).toBeUndefined();
    expect(await store.standingInside(collectionKey, "d1")).toEqual([]);
  });

  test("is of so many queries: the oldest go, but for those that are wanted", async () => {
    await using world = await opened(open);
    const { store, key: collectionKey } = world;
    const kept = limits.standingLeaveQueriesKeptMax;
    await store.keepStanding({ collectionKey, queries: [queryOf(0)], matches: [] });
    const queries = Array.from({ length: kept }, (_, n) => queryOf(n + 1));
    await store.keepStanding({ collectionKey, queries, matches: [] });
    const wanted = { usedBeforeMs: 0, except: ["q0"] };
    expect(await store.forgetStanding(wanted)).toBe(true);
    expect(await store.forgetStanding(wanted)).toBe(false);
    expect(await store.standingState("q0")).toBeDefined();
  });
});
