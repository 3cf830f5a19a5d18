import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { Problem } from "../../../src/problems.ts";
import { eventually } from "../../support/process.ts";
import { problemOf } from "../problems/problem-of.ts";
import { fakeClock } from "../rooms/fake-clock.ts";
import { numbered, openWebhookWorld, type WebhookWorld } from "./webhook-world.ts";

const webhookOf = async ({ stored }: WebhookWorld, id: string) => {
  const { webhook } = await stored.get(id);
  if (webhook === null) throw new Error("the query has no webhook");
  return webhook;
};

/** Resolves when nothing of a query waits any more, and that has been counted. */
const settled = async (own: WebhookWorld, id: string) => {
  await eventually("nothing waits", async () =>
    (await webhookOf(own, id)).waiting === 0 ? true : undefined,
  );
  await eventually("it is counted", () => (own.stored.counters.delivered > 0 ? true : undefined));
  return webhookOf(own, id);
};

describe("matches of a stored query", () => {
  test("are sent to its webhook, signed, once each and in order", async () => {
    await using own = await openWebhookWorld();
    const id = await own.create();
    await own.putMatching(0, 1000);
    expect(await own.took(1000)).toEqual(numbered(0, 1000));
    expect(own.receiver.wrongSignatures).toBe(0);
    expect(await settled(own, id)).toMatchObject({ delivered: 1000, given_up: 0, offset: 1000 });
    await eventually("all are counted", () =>
      own.stored.counters.delivered === 1000 ? true : undefined,
    );
    expect(own.stored.counters).toMatchObject({ failures: 0, held: 0 });
  });

  test("go together where many wait, and one request of a query at a time", async () => {
    await using own = await openWebhookWorld();
    let atOnce = 0;
    let most = 0;
    const { promise: first, resolve } = Promise.withResolvers<void>();
    own.receiver.answer = async (count) => {
      most = Math.max(most, ++atOnce);
      if (count === 0) await first;
      atOnce--;
      return 200;
    };
    const id = await own.create();
    await own.putMatching(0, 1);
    await eventually("the first has come", () => own.receiver.requests[0]);
    await own.putMatching(1, 250);
    await eventually("all are queued", async () =>
      (await webhookOf(own, id)).waiting === 251 ? true : undefined,
    );
    resolve();
    expect(await own.took(251)).toEqual(numbered(0, 251));
    expect(own.receiver.requests.map(({ matches }) => matches.length)).toEqual([1, 100, 100, 50]);
    expect(most).toBe(1);
  });

  test("of many queries are sent side by side", async () => {
    await using own = await openWebhookWorld();
    const ids = await Promise.all(Array.from({ length: 40 }, () => own.create()));
    await own.putMatching(0, 50);
    for (const id of ids) expect(await own.took(50, id)).toEqual(numbered(0, 50));
  });

  test("tell of documents that are replaced, and that match no longer", async () => {
    await using own = await openWebhookWorld();
    await own.create({ on: ["insert", "update", "leave"], fields: ["text"] });
    // What is replaced before it was matched is told of once.
    await own.world.put({ a: "wet tyres" });
    await own.took(1);
    await own.world.put({ a: "dry tyres" });
    await own.took(2);
    await own.world.put({ a: "rain" });
    await own.took(3);
    expect(own.receiver.taken()).toMatchObject([
      { doc: "a", event: "insert", score: 1, data: { text: "wet tyres" } },
      { doc: "a", event: "update", score: 1, data: { text: "dry tyres" } },
      { doc: "a", event: "leave", score: null, data: {} },
    ]);
  });
});

describe("a webhook that fails", () => {
  test("is sent the same again, and what came later after it", async () => {
    const clock = fakeClock(Date.now());
    await using own = await openWebhookWorld({ clock, random: () => 0.5 });
    own.receiver.answer = (count) => (count === 0 ? 500 : 200);
    const id = await own.create();
    await own.putMatching(0, 1);
    const error = await eventually("the failure is known", async () => {
      const { last_error: last } = await webhookOf(own, id);
      return last ?? undefined;
    });
    expect(error).toEqual({ at: new Date(clock.now()).toISOString(), message: "it answered 500" });
    await own.putMatching(1, 3);
    await eventually("the others wait", async () =>
      (await webhookOf(own, id)).waiting === 4 ? true : undefined,
    );
    clock.pass(2499);
    expect(own.receiver.requests).toHaveLength(1);
    clock.pass(1);
    expect(await own.took(4)).toEqual(numbered(0, 4));
    const [failed, again, rest] = own.receiver.requests;
    expect(again).toMatchObject({ id: failed?.id ?? "", body: failed?.body ?? "" });
    expect(rest?.matches.map(({ doc }) => doc)).toEqual(["d1", "d2", "d3"]);
    expect(await settled(own, id)).toMatchObject({ delivered: 4, last_error: null });
  });

  test("goes on waiting after a restart, and is sent the same then", async () => {
    await using own = await openWebhookWorld({ random: () => 0.2 });
    own.receiver.answer = () => 500;
    const id = await own.create();
    await own.putMatching(0, 2);
    const first = await eventually("it was tried", () => own.receiver.requests[0]);
    await eventually("that is written", async () =>
      (await webhookOf(own, id)).last_error === null ? undefined : true,
    );
    own.receiver.answer = () => 200;
    await own.restart();
    await own.putMatching(2, 1);
    const rest = numbered(first.matches.length, 3 - first.matches.length);
    // The first one comes when its pause is over, a second after it failed.
    expect(await own.took(3)).toEqual([...first.matches.map(({ doc }) => doc), ...rest]);
    expect(own.receiver.requests[1]).toMatchObject({ id: first.id, body: first.body });
  });

  test("is given up after eight tries, which is counted, and the next is sent", async () => {
    await using own = await openWebhookWorld();
    own.receiver.answer = (count) => (count < 8 ? 503 : 200);
    const id = await own.create();
    await own.putMatching(0, 1);
    await eventually("it is given up", async () =>
      (await webhookOf(own, id)).given_up === 1 ? true : undefined,
    );
    await own.putMatching(1, 1);
    expect(await own.took(1)).toEqual(["d1"]);
    await settled(own, id);
    expect(own.receiver.requests.map(({ status }) => status)).toEqual([...Array(8).fill(503), 200]);
    expect(own.stored.counters).toMatchObject({ givenUp: 1, delivered: 1, failures: 8 });
  });

  test("with 410 is disabled for good", async () => {
    await using own = await openWebhookWorld();
    own.receiver.answer = () => 410;
    const id = await own.create();
    await own.putMatching(0, 1);
    const disabled = await eventually("it is disabled", async () => {
      const webhook = await webhookOf(own, id);
      return webhook.disabled_at === null ? undefined : webhook;
    });
    expect(disabled).toMatchObject({
      waiting: 0,
      given_up: 1,
      last_error: { message: "it answered 410: nothing more is sent there" },
    });
    await own.putMatching(1, 1);
    await own.restart();
    await own.putMatching(2, 1);
    // The query is there all the same.
    const { items } = await eventually("it is open", () =>
      own.stored.matches(id, {}).catch(() => undefined),
    );
    expect(items.map(({ doc }) => doc)).toContain("d0");
    expect(own.receiver.requests).toHaveLength(1);
    expect(await webhookOf(own, id)).toMatchObject({ waiting: 0, offset: disabled.offset });
  });
});

describe("after a stop", () => {
  test("what changed meanwhile is found and sent, and nothing twice", async () => {
    await using own = await openWebhookWorld();
    const id = await own.create();
    await own.putMatching(0, 120);
    await own.took(120);
    await own.stop();
    await own.world.restart();
    await own.putMatching(120, 300);
    await own.world.put({ other: "rain" });
    await own.restart();
    await own.putMatching(420, 80);
    expect(await own.took(500)).toEqual(numbered(0, 500));
    expect(await settled(own, id)).toMatchObject({ delivered: 500 });
  });

  test("a query that matched nothing does not look at what it has seen", async () => {
    await using own = await openWebhookWorld();
    const id = await own.create({ text: "ferry" });
    await own.putMatching(0, 50);
    const { stream } = await own.stored.stream(id);
    await eventually("all are matched", () => (stream.head() === 50 ? true : undefined));
    await own.restart();
    expect(await webhookOf(own, id)).toMatchObject({ offset: 50, delivered: 0 });
  });

  test("what is too long ago is told of as lost, and what comes is sent", async () => {
    await using own = await openWebhookWorld();
    const id = await own.create();
    await own.stop();
    await own.world.restart();
    await own.putMatching(0, limits.standingChangesMax + 1);
    await own.restart();
    await eventually("it is open", async () => (await own.stored.get(id)).stream ?? undefined);
    await own.putMatching(20_000, 1);
    expect(await own.took(1)).toEqual(["d20000"]);
    const [first] = own.receiver.requests;
    expect(first).toMatchObject({
      type: "standing_query.lost",
      lost: { reason: "too_old", after: 0, offset: limits.standingChangesMax + 1 },
    });
    expect(own.stored.counters.lost).toBe(1);
  }, 60_000);

  test("one that cannot be opened says why, and is tried again", async () => {
    const clock = fakeClock(Date.now());
    await using own = await openWebhookWorld();
    const id = await own.create();
    await own.stop();
    let fails = true;
    const { world } = own;
    await using again = await openWebhookWorld({
      clock,
      store: world.store,
      queries: {
        listen: (listener) => world.queries.listen(listener),
        listenEnds: (listener) => world.queries.listenEnds(listener),
        open: (definition) =>
          fails
            ? Promise.reject(new Problem("model_mismatch", "The weights are others."))
            : world.queries.open(definition),
      },
    });
    again.stored.start();
    const { error, stream } = await eventually("it has failed", async () => {
      const details = await again.stored.get(id);
      return details.error === null ? undefined : details;
    });
    expect({ error, stream }).toEqual({ error: "The weights are others.", stream: null });
    expect((await problemOf(() => again.stored.stream(id))).code).toBe("not_ready");
    fails = false;
    clock.pass(1000);
    await eventually("it is open", async () => (await again.stored.get(id)).stream ?? undefined);
    expect((await again.stored.get(id)).error).toBeNull();
  });
});

describe("a stored query", () => {
  test("that is removed is sent nothing more, and its readers are told", async () => {
    await using own = await openWebhookWorld();
    const id = await own.create();
    const { gone } = await own.stored.stream(id);
    expect(await own.stored.remove(id)).toBe(true);
    expect(gone.aborted).toBe(true);
    expect(await own.stored.remove(id)).toBe(false);
    expect((await problemOf(() => own.stored.get(id))).code).toBe("standing_query_not_found");
    const other = await own.create();
    await own.putMatching(0, 1);
    await own.took(1, other);
    expect(own.receiver.requests.map(({ queryId }) => queryId)).toEqual([other]);
  });

  test("goes with its collection", async () => {
    const clock = fakeClock(Date.now());
    await using own = await openWebhookWorld({ clock });
    const id = await own.create();
    own.stored.start();
    const { gone } = await own.stored.stream(id);
    await eventually("it is looked after", () => (clock.waiting > 0 ? true : undefined));
    await own.world.store.dropCollection(own.world.collectionKey);
    expect((await problemOf(() => own.stored.get(id))).code).toBe("standing_query_not_found");
    clock.pass(60_000);
    await eventually("it is let go of", () => (gone.aborted ? true : undefined));
    expect(await own.stored.list({ after: "", limit: 10 })).toEqual([]);
  });

  test("is one of so many", async () => {
    await using own = await openWebhookWorld();
    const { store } = own.world;
    const definition = "{}";
    const adds = Array.from({ length: limits.storedQueriesMax }, (_, number) =>
      store.addStoredQuery({
        id: `sq_${number}`,
        collectionKey: own.world.collectionKey,
        definition,
        offset: 0,
        webhook: undefined,
      }),
    );
    await Promise.all(adds);
    expect((await problemOf(() => own.create())).code).toBe("limit_reached");
  }, 30_000);
});
