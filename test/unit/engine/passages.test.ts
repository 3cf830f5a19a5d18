import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { Passages, type EmbedBatch } from "../../../src/engine/passages.ts";
import { Problem } from "../../../src/problems.ts";
import type { Store } from "../../../src/store/store.ts";
import { eventually } from "../../support/process.ts";
import { slicesOf, vectorsIn, written } from "../store/fixtures.ts";
import { EMBEDDED, openStore, SOON_MS } from "./fixtures.ts";

const VECTOR = new Float32Array(256).fill(1 / 16);

/** Gives every text the same vector, and fails a whole batch for a text it does not like, as a dying process does. */
const allBut =
  (bad: (text: string) => boolean): EmbedBatch =>
  async (_model, texts) => {
    if (texts.some(bad)) throw new Error("the process ended");
    return texts.map(() => VECTOR.slice());
  };

const isNotOther = ({ name }: { name: string }): boolean => name !== "other";

const embedAll = allBut(() => false);
const isPoison = (text: string): boolean => text.includes("poison");

/** A passages loop that hears of a store's commits. */
function follow(store: Store, embed: EmbedBatch): Passages {
  const passages = new Passages(store, embed);
  store.onCommit((commit) => passages.apply(commit));
  return passages;
}

const soon = (): AbortSignal => AbortSignal.timeout(SOON_MS);

/** Documents of one short chunk each; those of `bad` numbers hold the text that fails. */
const numbered = (count: number, bad: readonly number[] = []) =>
  Array.from({ length: count }, (_, index) =>
    written(`d${index}`, bad.includes(index) ? "poison" : `text ${index}`),
  );

describe("Passages", () => {
  test("gives every chunk its vector, in batches of one message's size", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const sizes: number[] = [];
    await using passages = follow(store, (model, texts) => {
      expect(model).toBe("static-256");
      sizes.push(texts.length);
      return embedAll(model, texts);
    });
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, numbered(40));
    await passages.caughtUp(soon());
    expect(await store.counts(key)).toEqual({ documents: 40, chunks: 40, pendingEmbeddings: 0 });
    expect(Math.max(...sizes)).toBe(limits.embeddingBatchMax);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(40);
  });

  test("puts a document's title before its text", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const texts: string[] = [];
    await using passages = follow(store, (model, batch) => {
      texts.push(...batch);
      return embedAll(model, batch);
    });
    const { key } = await store.createCollection(EMBEDDED);
    const long = "é".repeat(199) + "🏁 and more";
    await store.writeDocuments(key, [
      { ...written("a", "goes green"), title: "The track" },
      { ...written("b", "text"), title: " " },
      { ...written("c", "text"), title: long },
    ]);
    await passages.caughtUp(soon());
    expect(texts).toEqual(["The track\ngoes green", "text", `${"é".repeat(199)}\ufffd\ntext`]);
  });

  test("marks a chunk in which the model finds nothing as done, without a vector", async () => {
    await using opened = await openStore();
    const { store } = opened;
    await using passages = follow(store, async (_model, texts) => texts.map(() => undefined));
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, [written("a", "?")]);
    await passages.caughtUp(soon());
    expect((await store.counts(key)).pendingEmbeddings).toBe(0);
    expect(await vectorsIn(store, key)).toEqual([]);
  });

  test("goes on at the start with what an earlier run left", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, numbered(100));
    const done = Promise.withResolvers<void>();
    store.onCommit(async () => {
      if ((await store.pendingTotal()) === 0) done.resolve();
    });
    await using passages = follow(store, embedAll);
    passages.start();
    await done.promise;
    expect(await vectorsIn(store, key)).toHaveLength(100);
  });

  test("is caught up only when what an earlier run left has its vectors too", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, numbered(20));
    await using passages = follow(store, embedAll);
    passages.start();
    await passages.caughtUp(soon());
    expect(await store.pendingTotal()).toBe(0);
  });

  test("gives no text up because too much waited", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const busy = new Problem("busy", "Too many texts wait to be embedded.");
    let calls = 0;
    await using passages = follow(store, async (model, texts) => {
      // The process of the batch is gone, the probe is answered, and then the queue is full for a moment.
      if (++calls === 1) throw new Error("the child was killed");
      if (calls === 3) throw busy;
      return embedAll(model, texts);
    });
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, numbered(4));
    await passages.caughtUp(soon());
    expect(await vectorsIn(store, key)).toHaveLength(4);
  });

  test("tries a batch again that failed for a while", async () => {
    await using opened = await openStore();
    const { store } = opened;
    let calls = 0;
    await using passages = follow(store, async (model, texts) => {
      if (++calls <= 2) throw new Error("the child was killed");
      return embedAll(model, texts);
    });
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, [written("a", "text")]);
    await passages.caughtUp(soon());
    expect(await store.pendingTotal()).toBe(0);
    expect(await vectorsIn(store, key)).toHaveLength(1);
  });

  test("gives up a text that always fails, and the others of its batch get their vectors", async () => {
    await using opened = await openStore();
    const { store } = opened;
    await using passages = follow(store, allBut(isPoison));
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, numbered(40, [3]));
    await passages.caughtUp(soon());
    expect(await store.pendingTotal()).toBe(0);
    expect(await vectorsIn(store, key)).toHaveLength(39);
  });

  test("gives up a text that always fails also where it is alone in the last batch", async () => {
    await using opened = await openStore();
    const { store } = opened;
    await using passages = follow(store, allBut(isPoison));
    const { key } = await store.createCollection(EMBEDDED);
    const last = limits.embeddingBatchMax;
    await store.writeDocuments(key, numbered(last + 1, [last]));
    await passages.caughtUp(soon());
    expect(await store.pendingTotal()).toBe(0);
  });

  test("embeds other collections while the model of one is not there, however much waits for it", async () => {
    await using opened = await openStore();
    const { store } = opened;
    await using passages = follow(store, async (model, texts) => {
      if (model === "gone") throw new Error("no such model");
      return embedAll(model, texts);
    });
    const gone = (await store.createCollection({ ...EMBEDDED, name: "gone", model: "gone" })).key;
    const { key } = await store.createCollection(EMBEDDED);
    const chunks = Array.from({ length: limits.pendingReadMax }, (_, index) => {
      return { start: index, end: index + 1, heading: null };
    });
    await store.writeDocuments(gone, [{ ...written("a", "x".repeat(chunks.length)), chunks }]);
    await store.writeDocuments(key, [written("a", "text")]);
    await passages.caughtUp(soon());
    expect((await store.counts(key)).pendingEmbeddings).toBe(0);
  });

  test("embeds what comes for others at once, while the model of one is left alone for a while", async () => {
    await using opened = await openStore();
    const { store } = opened;
    let tries = 0;
    await using passages = follow(store, async (model, texts) => {
      if (model !== "gone") return embedAll(model, texts);
      tries++;
      throw new Error("no such model");
    });
    const gone = (await store.createCollection({ ...EMBEDDED, name: "gone", model: "gone" })).key;
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(gone, numbered(40));
    // The batch, and the probe that says whose fault it is.
    await eventually("it was tried", () => tries >= 2 || undefined);
    await eventually("it is left alone", () => passages.failing || undefined);
    const before = tries;
    await store.writeDocuments(key, [written("a", "text")]);
    await eventually("the other has its vectors", async () => {
      return (await store.counts(key)).pendingEmbeddings === 0 || undefined;
    });
    expect(tries).toBe(before);
    await eventually("it is tried again", () => tries > before || undefined);
  });

  test("reads chunks that nothing can embed no more than it must", async () => {
    await using opened = await openStore();
    const { store } = opened;
    let read = 0;
    const counting: Store = {
      ...store,
      pending: async (options) => {
        const page = await store.pending(options);
        read += page.length;
        return page;
      },
    };
    const other = { ...EMBEDDED, name: "other", modelSha256: "of other weights" };
    const { key: otherKey } = await store.createCollection(other);
    for (const slice of slicesOf(numbered(600))) await store.writeDocuments(otherKey, slice);
    const { key } = await store.createCollection(EMBEDDED);
    await using passages = new Passages(counting, embedAll, { accepts: isNotOther });
    store.onCommit((commit) => passages.apply(commit));
    await store.writeDocuments(key, [written("a", "text")]);
    await passages.caughtUp(soon());
    expect((await store.counts(key)).pendingEmbeddings).toBe(0);
    expect((await store.counts(otherKey)).pendingEmbeddings).toBe(600);
    expect(read).toBe(1);
  });

  test("leaves out chunks that were replaced while their text was being embedded", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const { key } = await store.createCollection(EMBEDDED);
    let calls = 0;
    await using passages = follow(store, async (model, texts) => {
      if (++calls === 1) await store.writeDocuments(key, [written("a", "second")]);
      return embedAll(model, texts);
    });
    await store.writeDocuments(key, [written("a", "first")]);
    await passages.caughtUp(soon());
    await passages.caughtUp(soon());
    expect(await store.counts(key)).toEqual({ documents: 1, chunks: 1, pendingEmbeddings: 0 });
    expect(await vectorsIn(store, key)).toHaveLength(1);
  });

  test("a wait ends at its signal while the model hangs, and the chunk still waits", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const gate = Promise.withResolvers<void>();
    const passages = follow(store, async (model, texts) => {
      await gate.promise;
      return embedAll(model, texts);
    });
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, [written("a", "text")]);
    const abort = new AbortController();
    const wait = passages.caughtUp(abort.signal);
    abort.abort();
    await wait;
    await passages.caughtUp(abort.signal);
    expect(await store.pendingTotal()).toBe(1);
    gate.resolve();
    await passages[Symbol.asyncDispose]();
  });

  test("a wait for nothing ends at once", async () => {
    await using opened = await openStore();
    await using passages = follow(opened.store, embedAll);
    await passages.caughtUp(soon());
  });

  test("stopping ends waits, and what had no vector yet still waits in the store", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const passages = follow(store, async () => {
      throw new Error("no model");
    });
    const { key } = await store.createCollection(EMBEDDED);
    await store.writeDocuments(key, [written("a", "text")]);
    const wait = passages.caughtUp(new AbortController().signal);
    await passages[Symbol.asyncDispose]();
    await wait;
    expect(await store.pendingTotal()).toBe(1);
  });
});
