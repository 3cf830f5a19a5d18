import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { Problem } from "../../../src/problems.ts";
import { systemClock } from "../../../src/rooms/clock.ts";
import { createChangeTraces } from "../../../src/standing-queries/change-traces.ts";
import { createDeliveryWrites } from "../../../src/standing-queries/delivery-writes.ts";
import { MatchGatherer } from "../../../src/standing-queries/match-gatherer.ts";
import { WaitingTally } from "../../../src/standing-queries/waiting-tally.ts";
import { newWebhookCounters } from "../../../src/standing-queries/webhook-counters.ts";
import type { QueuedDeliveries } from "../../../src/store/stored-query-store.ts";
import { eventually } from "../../support/process.ts";
import { fakeClock } from "../rooms/fake-clock.ts";
import { numbered, openWebhookWorld } from "./webhook-world.ts";

type Write = (queued: QueuedDeliveries) => Promise<boolean>;

const ID = "sq_gathered";

/** A gatherer over real standing queries and a real store; `around` may stand in the way of its writes. */
async function openGathering(around: (write: Write) => Write = (write) => write) {
  await using stack = new AsyncDisposableStack();
  const own = stack.use(await openWebhookWorld());
  const { world } = own;
  const { store, queries } = world;
  const clock = fakeClock(Date.now());
  const tally = new WaitingTally();
  const counters = newWebhookCounters();
  const queued: string[] = [];
  const gatherer = new MatchGatherer({
    store,
    queries,
    tally,
    counters,
    clock,
    traces: createChangeTraces(),
    write: around(createDeliveryWrites(store, systemClock)),
    onQueued: (id) => queued.push(id),
  });
  stack.defer(() => gatherer[Symbol.asyncDispose]());
  const { stream } = await world.open({});
  await store.addStoredQuery({
    id: ID,
    collectionKey: world.collectionKey,
    definition: "{}",
    offset: 0,
    webhook: { url: "https://hook.example.com/", secret: "whsec_" },
  });
  gatherer.follow({ id: ID, collectionKey: world.collectionKey }, stream, 0);
  const owned = stack.move();
  return {
    store,
    clock,
    tally,
    counters,
    gatherer,
    stream,
    queued,
    putMatching: (first: number, count: number) => own.putMatching(first, count),
    /** Resolves with the documents of so many queued matches, in order. */
    has: (count: number) =>
      eventually(`${count} matches are queued`, async () => {
        const rows = await store.webhookDeliveries(ID, 100_000);
        if (rows.length < count) return undefined;
        return rows.map(({ body }) => String(JSON.parse(body).doc));
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("gathering matches", () => {
  test("waits where as many wait as may, and finds the others when there is room", async () => {
    await using own = await openGathering();
    await own.putMatching(0, 10);
    await own.has(10);
    const rest = limits.webhookMatchesWaitingMax - 10;
    own.tally.add(ID, { count: rest, characters: rest });
    await own.putMatching(10, 300);
    await eventually("it is held", () => (own.counters.held === 1 ? true : undefined));
    await eventually("all are matched", () => (own.stream.head() === 310 ? true : undefined));
    expect(await own.has(10)).toEqual(numbered(0, 10));
    own.tally.take(ID, { count: rest, characters: rest });
    expect(await own.has(310)).toEqual(numbered(0, 310));
    await eventually("all are counted", () => (own.tally.of(ID).count === 310 ? true : undefined));
  });

  test("goes on where it was after a write that failed, and one of which nobody knows", async () => {
    let writes = 0;
    await using own = await openGathering((write) => async (queued) => {
      writes++;
      if (writes === 2) throw new Problem("busy", "Too much is written.");
      const written = await write(queued);
      if (writes === 3) throw new Error("the answer was lost");
      return written;
    });
    for (const [index, count] of [1, 2, 3].entries()) {
      await own.putMatching(index * 10, 10);
      // A failure is followed by a pause.
      await eventually("it is queued", async () => {
        own.clock.pass(1000);
        const rows = await own.store.webhookDeliveries(ID, 1000);
        return rows.length >= count * 10 ? true : undefined;
      });
    }
    expect(await own.has(30)).toEqual(numbered(0, 30));
    expect(own.queued).toContain(ID);
  });

  test("holds no more in memory than it may", async () => {
    const { promise: opened, resolve } = Promise.withResolvers<void>();
    let writes = 0;
    await using own = await openGathering((write) => async (queued) => {
      if (++writes === 1) await opened;
      return write(queued);
    });
    await own.putMatching(0, 1);
    await eventually("the first is being written", () => (writes === 1 ? true : undefined));
    await own.putMatching(1, 2000);
    await eventually("all are matched", () => (own.stream.head() === 2001 ? true : undefined));
    resolve();
    expect(await own.has(2001)).toEqual(numbered(0, 2001));
    // In pages of the past, and not as one write of all that was told.
    expect(writes).toBeGreaterThan(5);
  });

  test("ends for a query that is gone, and for none twice", async () => {
    await using own = await openGathering();
    own.gatherer.follow({ id: ID, collectionKey: 1 }, own.stream, 0);
    await own.putMatching(0, 1);
    await own.has(1);
    await own.store.removeStoredQuery(ID);
    await own.putMatching(1, 1);
    await eventually("all are matched", () => (own.stream.head() === 2 ? true : undefined));
    await own.gatherer[Symbol.asyncDispose]();
    expect(await own.store.webhookDeliveries(ID, 10)).toEqual([]);
    own.gatherer.follow({ id: ID, collectionKey: 1 }, own.stream, 0);
    expect(own.counters.lost).toBe(0);
  });

  test("writes down at the end how far it has come", async () => {
    await using own = await openGathering();
    await own.putMatching(0, 1);
    await own.has(1);
    const documents = [
      { id: "other", title: null, text: "rain", metadata: {}, chunks: [] },
    ] as const;
    const row = await own.store.storedQuery(ID);
    await own.store.writeDocuments(row?.collectionKey ?? 0, documents);
    await eventually("all are matched", () => (own.stream.head() === 2 ? true : undefined));
    await own.gatherer[Symbol.asyncDispose]();
    expect((await own.store.storedQuery(ID))?.webhook?.offset).toBe(2);
  });
});

describe("what waits", () => {
  test("is bounded for all, by number and by size", () => {
    const tally = new WaitingTally();
    const calls: string[] = [];
    tally.add("a", { count: 1, characters: limits.webhookCharactersWaitingTotal });
    expect([tally.hasRoom("a"), tally.hasRoom("b")]).toEqual([false, false]);
    tally.onRoom("b", () => calls.push("b"));
    tally.add("c", { count: limits.webhookMatchesWaitingTotal, characters: 0 });
    tally.forget("a");
    expect([tally.hasRoom("b"), calls.length]).toEqual([false, 0]);
    tally.take("c", { count: limits.webhookMatchesWaitingTotal, characters: 5 });
    expect(calls).toEqual(["b"]);
    // The store counts characters in another way; with the last match nothing is left of either.
    expect(tally.total).toEqual({ count: 0, characters: 0 });
  });
});
