import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import type { QueuedDeliveries } from "../../../src/store/stored-query-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION } from "./fixtures.ts";
import { OPENERS, type Opener } from "./openers.ts";

const WEBHOOK = { url: "https://hooks.example.com/", secret: "whsec_c2VjcmV0" };

interface Opened extends AsyncDisposable {
  store: Store;
  collectionKey: number;
  add(id: string, webhook?: typeof WEBHOOK): Promise<unknown>;
}

async function openOne(open: Opener): Promise<Opened> {
  const dir = tempDir();
  const store: Store = await open(dir.path, { durability: "relaxed" });
  const { key: collectionKey } = await store.createCollection(COLLECTION);
  return {
    store,
    collectionKey,
    add: (id, webhook = WEBHOOK) =>
      store.addStoredQuery({ id, collectionKey, definition: "{}", offset: 5, webhook }),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

function queued(rest: Partial<QueuedDeliveries> = {}): QueuedDeliveries {
  const deliveries = [
    { kind: "match" as const, body: "one" },
    { kind: "match" as const, body: "three" },
  ];
  return { queryId: "a", after: 5, offset: 9, deliveries, ...rest };
}

describe.each(OPENERS)("stored queries in a %s", (_name, open) => {
  test("are read by id and in pages, with the name of their collection", async () => {
    await using own = await openOne(open);
    const { store, collectionKey } = own;
    await own.add("b");
    const made = await store.addStoredQuery({
      id: "a",
      collectionKey,
      definition: '{"text":"x"}',
      offset: 7,
      webhook: undefined,
    });
    expect(made).toMatchObject({
      id: "a",
      collection: COLLECTION.name,
      definition: '{"text":"x"}',
      offset: 7,
      webhook: undefined,
    });
    expect(await store.storedQuery("a")).toEqual(made);
    expect(await store.storedQuery("c")).toBeUndefined();
    expect((await store.storedQuery("b"))?.webhook).toEqual({
      ...WEBHOOK,
      offset: 5,
      delivered: 0,
      givenUp: 0,
      waiting: 0,
      disabledAtMs: null,
      error: null,
      errorAtMs: null,
    });
    const page = await store.storedQueries({ after: "a", limit: 5 });
    expect(page.map(({ id }) => id)).toEqual(["b"]);
    expect(await store.storedQueryIds()).toEqual(["a", "b"]);
    expect(await store.removeStoredQuery("a")).toBe(true);
    expect(await store.removeStoredQuery("a")).toBe(false);
  });

  test("go with their collection, which has none as soon as it is dropped", async () => {
    await using own = await openOne(open);
    const { store, collectionKey } = own;
    await own.add("a");
    await store.queueDeliveries([queued()], 1);
    await store.dropCollection(collectionKey);
    expect(await store.storedQueryIds()).toEqual([]);
    expect(await store.webhooksWaiting()).toEqual([]);
    expect((await problemOf(() => own.add("b"))).code).toBe("collection_not_found");
    expect(await store.queueDeliveries([queued()], 1)).toEqual([false]);
  });

  test("take matches where they stand, and nowhere else", async () => {
    await using own = await openOne(open);
    const { store } = own;
    await own.add("a");
    await own.add("b");
    const written = await store.queueDeliveries(
      [queued(), queued(), queued({ queryId: "b", deliveries: [] }), queued({ queryId: "none" })],
      1000,
    );
    expect(written).toEqual([true, false, true, false]);
    expect(await store.webhooksWaiting()).toEqual([{ queryId: "a", count: 2, characters: 8 }]);
    const [first, second] = await store.webhookDeliveries("a", 10);
    expect(first).toEqual({
      id: 1,
      kind: "match",
      body: "one",
      createdAtMs: 1000,
      attempts: 0,
      nextAtMs: 1000,
      traceparent: null,
      tracestate: null,
    });
    expect(second?.body).toBe("three");
    expect(await store.webhookDeliveries("a", 1)).toHaveLength(1);
    expect((await store.storedQuery("b"))?.webhook?.offset).toBe(9);
  });

  test("keep the trace of each match", async () => {
    await using own = await openOne(open);
    const { store } = own;
    await own.add("a");
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const match = { kind: "match" as const, body: "1" };
    const deliveries = [
      { ...match, trace: { traceparent, tracestate: "vendor=1" } },
      { ...match, trace: { traceparent, tracestate: undefined } },
      match,
    ];
    await store.queueDeliveries([queued({ deliveries })], 1);
    const rows = await store.webhookDeliveries("a", 10);
    expect(rows.map((row) => [row.traceparent, row.tracestate])).toEqual([
      [traceparent, "vendor=1"],
      [traceparent, null],
      [null, null],
    ]);
  });

  test("count what became of what was sent", async () => {
    await using own = await openOne(open);
    const { store } = own;
    await own.add("a");
    const bodies = ["1", "2", "3", "4", "5"].map((body) => ({ kind: "match" as const, body }));
    await store.queueDeliveries([queued({ deliveries: bodies })], 1);
    const error = "it answered 500";
    await store.settleDeliveries("a", { kind: "retry", upTo: 2, atMs: 3, nextAtMs: 9, error });
    const rows = await store.webhookDeliveries("a", 10);
    expect(rows.map(({ attempts, nextAtMs }) => [attempts, nextAtMs])).toEqual([
      [1, 9],
      [1, 9],
      [0, 1],
      [0, 1],
      [0, 1],
    ]);
    const webhook = async () => (await store.storedQuery("a"))?.webhook;
    expect(await webhook()).toMatchObject({ error, errorAtMs: 3, waiting: 5 });
    await store.settleDeliveries("a", { kind: "delivered", upTo: 2, atMs: 4 });
    expect(await webhook()).toMatchObject({ error: null, errorAtMs: null, delivered: 2 });
    await store.settleDeliveries("a", { kind: "given_up", upTo: 3, atMs: 5, error });
    expect(await webhook()).toMatchObject({ error, givenUp: 1, waiting: 2 });
    await store.settleDeliveries("a", { kind: "disabled", upTo: 4, atMs: 6, error: "gone" });
    expect(await webhook()).toMatchObject({
      error: "gone",
      givenUp: 3,
      disabledAtMs: 6,
      waiting: 0,
    });
    expect(await store.queueDeliveries([queued({ after: 9, offset: 10 })], 7)).toEqual([false]);
  });

  test("are so many at most", async () => {
    await using own = await openOne(open);
    const ids = Array.from({ length: limits.storedQueriesMax }, (_, number) => `q${number}`);
    for (let at = 0; at < ids.length; at += 1000)
      await Promise.all(ids.slice(at, at + 1000).map((id) => own.add(id)));
    expect((await problemOf(() => own.add("more"))).code).toBe("limit_reached");
  });
});
