import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import type { AddQuery } from "../../../src/standing-queries/matcher-messages.ts";
import { Matcher, type ToldPage } from "../../../src/standing-queries/matcher.ts";
import type { StandingQuery } from "../../../src/standing-queries/standing-query.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import type { StandingUpdate } from "../../../src/store/standing-store.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, slicesOf, withVector, written } from "../store/fixtures.ts";
import { asFrame } from "./world.ts";

const ALL = ["insert", "update", "leave"] as const;

interface WorldOptions {
  held?: readonly string[];
  /** That of another matcher, which takes no further part. */
  store?: LocalStore;
  /** When it says so, what is told comes to nobody. */
  isCut?: () => boolean;
  /** When it says so, nothing can be written. */
  isFull?: () => boolean;
}

/** A matcher in this thread, whose rows are written as the registry writes them. */
async function openMatcher(options: WorldOptions = {}) {
  const { held = [], isCut = () => false, isFull = () => false } = options;
  const stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store = options.store ?? stack.use(await LocalStore.open(dir.path));
  const collection =
    (await store.collection("rules")) ??
    (await store.createCollection({ ...COLLECTION, name: "rules" }));
  const told: ToldPage[] = [];
  const kept: StandingUpdate[] = [];
  const failures: unknown[] = [];
  const matcher = new Matcher(store, {
    held,
    tell: async (page) => {
      if (!isCut()) told.push(page);
    },
    keep: (ticket, update) => {
      kept.push(update);
      if (!isFull()) void store.keepStanding(update).then(() => matcher.kept(ticket));
    },
    onFailed: (error) => failures.push(error),
  });
  store.onCommit(({ collectionKey }) => matcher.hear(collectionKey));
  stack.defer(() => matcher.close());
  const add = (query: Partial<StandingQuery>, rest: Partial<AddQuery> = {}) =>
    matcher.add({
      query: {
        hash: "q",
        collectionKey: collection.key,
        text: "tyres",
        mode: "keyword",
        minScore: 1,
        weight: 0,
        filter: undefined,
        on: ["insert", "update"],
        fields: [],
        ...query,
      },
      vector: undefined,
      collection,
      ...rest,
    });
  return {
    store,
    key: collection.key,
    matcher,
    told,
    kept,
    failures,
    add,
    matches: () => told.flatMap(({ matches }) => matches.map(({ frame }) => asFrame(frame))),
    put: (...documents: Parameters<typeof store.writeDocuments>[1]) =>
      store.writeDocuments(collection.key, documents),
    at: (cursor: number) =>
      eventually(`the cursor is ${cursor}`, () =>
        told.some((page) => page.cursor === cursor) ? true : undefined,
      ),
    read: (range: { after: number; upTo: number }, framesMax = 1000) =>
      matcher.read({ hash: "q", since: range.after, ...range, framesMax, bytesMax: 1e6 }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("a matcher", () => {
  test("shows the chunk that has most of the words, cut where it is too long", async () => {
    await using world = await openMatcher();
    await world.add({ text: "worn soft tyres", fields: ["text", "title"] });
    const text = `soft ground. worn soft tyres ${"x".repeat(limits.standingTextCharactersMax)}`;
    const chunks = [
      { start: 0, end: 13, heading: null },
      { start: 13, end: text.length, heading: null },
    ];
    await world.put({ ...written("a", text), chunks });
    await world.at(1);
    const [frame] = world.matches();
    const shown = text.slice(13, 13 + limits.standingTextCharactersMax);
    expect(frame?.data).toEqual({ title: null, text: shown, text_cut: true });
  });

  test("shows parts of the metadata, each where it stands", async () => {
    await using world = await openMatcher();
    await world.add({ fields: ["metadata.car.number", "metadata.car.team", "metadata.none.at"] });
    const car = { number: 44, team: "red", driver: "x" };
    await world.put(written("a", "tyres", { car, none: 1 }));
    await world.at(1);
    expect(world.matches()[0]?.data).toEqual({ metadata: { car: { number: 44, team: "red" } } });
  });

  test("shows no text of a document that has none", async () => {
    await using world = await openMatcher();
    await world.add(
      { mode: "semantic", minScore: 0.9, fields: ["text"] },
      {
        vector: new Float32Array([1, 0]),
      },
    );
    await world.put({ ...withVector("a", [1, 0]), text: null });
    await world.at(1);
    expect(world.matches()[0]?.data).toEqual({ text: null });
  });

  test("tells many matches in parts, each as far as it goes", async () => {
    await using world = await openMatcher();
    await world.add({ fields: ["metadata"] });
    const note = "n".repeat(60_000);
    await world.put(...Array.from({ length: 12 }, (_, n) => written(`d${n}`, "tyres", { note })));
    await world.at(12);
    expect(world.told.length).toBeGreaterThan(2);
    expect(world.matches().map(({ doc }) => doc)).toEqual(
      Array.from({ length: 12 }, (_, n) => `d${n}`),
    );
    for (const { cursor, matches } of world.told) {
      for (const { offset } of matches) expect(offset).toBeLessThanOrEqual(cursor + 1);
    }
  });

  test("goes on from where another one was, once it has all queries", async () => {
    await using world = await openMatcher({ held: ["words:1"] });
    await world.put(written("a", "tyres"), written("b", "tyres"));
    expect(await world.add({}, { cursor: 1 })).toEqual({ cursor: 1, knownFrom: 0 });
    await world.put(written("c", "tyres"));
    await world.add({ hash: "other" }, { cursor: 1 });
    expect(world.told).toEqual([]);
    world.matcher.go("words:1");
    await world.at(3);
    expect(
      world
        .matches()
        .map(({ doc, sub }) => `${doc} ${sub}`)
        .toSorted(),
    ).toEqual(["b q:other", "b q:q", "c q:other", "c q:q"]);
  });

  test("begins anew where the last query of a collection went", async () => {
    await using world = await openMatcher();
    await world.add({});
    world.matcher.remove("q");
    world.matcher.remove("unknown");
    await world.put(written("a", "tyres"));
    expect(await world.add({})).toEqual({ cursor: 1, knownFrom: 0 });
    await world.put(written("b", "tyres"));
    await world.at(2);
    expect(world.matches().map(({ doc }) => doc)).toEqual(["b"]);
  });

  test("has nothing to say of a query that it does not have", async () => {
    await using world = await openMatcher();
    const problem = await problemOf(() => world.read({ after: 0, upTo: 1 }));
    expect(problem.code).toBe("engine_lost");
    const range = { hash: "q", after: 0, upTo: 1 };
    expect((await problemOf(() => world.matcher.countChanges(range))).code).toBe("engine_lost");
  });

  test("is quiet about a collection that was dropped", async () => {
    await using world = await openMatcher();
    await world.add({});
    await world.put(written("a", "tyres"));
    await world.at(1);
    await world.store.dropCollection(world.key);
    world.matcher.hear(world.key);
    await world.matcher.close();
    expect(world.failures).toEqual([]);
    expect((await problemOf(() => world.read({ after: 0, upTo: 1 }))).code).toBe(
      "collection_not_found",
    );
  });
});

describe("what a matcher keeps of a query that tells of leaving", () => {
  test("is brought up to date from the changes, or from all documents where those are many", async () => {
    await using world = await openMatcher();
    await world.put(written("a", "tyres"), written("b", "tyres"));
    expect(await world.add({ on: ALL })).toEqual({ cursor: 2, knownFrom: 2 });
    expect(await world.store.standingState("q")).toEqual({ sequence: 2, knownFrom: 2 });
    world.matcher.remove("q");
    await world.put(written("a", "rain"), written("c", "tyres"));
    expect(await world.add({ on: ALL })).toEqual({ cursor: 4, knownFrom: 2 });
    const left = await world.read({ after: 2, upTo: 4 });
    expect(left.frames.map(asFrame).map(({ doc, event }) => [doc, event])).toEqual([
      ["a", "leave"],
      ["c", "insert"],
    ]);
    world.matcher.remove("q");
    await world.store.deleteDocuments(world.key, ["b"]);
    const many = Array.from({ length: limits.standingChangesMax }, (_, n) => written(`d${n}`, "x"));
    for (const slice of slicesOf(many)) await world.store.writeDocuments(world.key, slice);
    const head = world.store.sequence;
    expect(await world.add({ on: ALL })).toEqual({ cursor: head, knownFrom: 2 });
    expect(await world.store.standingLeft("q", { after: 4, upTo: head, limit: 10 })).toEqual([
      { documentId: "b", sequence: 5 },
    ]);
    expect(await world.store.standingInside(world.key, "c")).toEqual(["q"]);
  });

  test("is written down now and then, without what nobody can resume from any more", async () => {
    await using world = await openMatcher();
    await world.put(written("a", "tyres"));
    await world.add({ on: ALL });
    await world.put(written("a", "rain"));
    await world.at(2);
    const many = Array.from({ length: 10_200 }, (_, n) => written(`d${n % 10_100}`, "x"));
    for (const slice of slicesOf(many)) await world.store.writeDocuments(world.key, slice);
    await world.at(world.store.sequence);
    const late = world.kept.filter(({ forgetUpTo }) => forgetUpTo !== undefined);
    expect(late.length).toBeGreaterThan(0);
    await eventually("what left long ago is forgotten", async () => {
      const range = { after: 0, upTo: 10, limit: 10 };
      return (await world.store.standingLeft("q", range)).length === 0 || undefined;
    });
  });

  test("ends a page of a replay where either list of it ends", async () => {
    await using world = await openMatcher();
    const ids = Array.from({ length: 90 }, (_, n) => `d${n}`);
    await world.add({ on: ALL });
    await world.put(...ids.map((id) => written(id, "tyres")));
    await world.at(90);
    await world.put(...ids.map((id) => written(id, "rain")));
    await world.put(...ids.map((id) => written(`x${id}`, "tyres")));
    await world.at(270);
    const docs: string[] = [];
    for (let after = 90; after < 270;) {
      const page = await world.read({ after, upTo: 270 }, 50);
      expect(page.frames.length).toBeLessThanOrEqual(50);
      docs.push(...page.frames.map((text) => asFrame(text).doc));
      after = page.upTo;
    }
    expect(docs).toEqual([...ids, ...ids.map((id) => `x${id}`)]);
  });

  test("is told again where the matcher before it was lost while it told", async () => {
    let cut = false;
    await using first = await openMatcher({ isCut: () => cut });
    await first.add({ on: ALL });
    await first.put(written("a", "tyres"), written("b", "tyres"));
    await first.at(2);
    cut = true;
    await first.put(written("a", "rain"));
    await eventually("the row is written", async () => {
      const range = { after: 2, upTo: 3, limit: 1 };
      return (await first.store.standingLeft("q", range)).length === 1 || undefined;
    });
    await first.matcher.close();
    await using second = await openMatcher({ store: first.store });
    await second.add({ on: ALL }, { cursor: 2 });
    await second.at(3);
    expect(second.matches().map(({ doc, event }) => [doc, event])).toEqual([["a", "leave"]]);
  });

  test("holds up nobody else's replay while it cannot be written", async () => {
    let full = false;
    await using world = await openMatcher({ isFull: () => full });
    await world.add({});
    await world.add({ hash: "leaves", on: ALL });
    full = true;
    await world.put(written("a", "tyres"));
    await world.at(1);
    // It waits until there is room.
    void world.matcher.read({
      hash: "leaves",
      since: 0,
      after: 0,
      upTo: 1,
      framesMax: 1,
      bytesMax: 1,
    });
    const { frames } = await world.read({ after: 0, upTo: 1 });
    expect(frames.map((text) => asFrame(text).doc)).toEqual(["a"]);
  });

  test("is refused where there are too many of its kind, or too many documents", async () => {
    await using world = await openMatcher();
    await Promise.all(
      Array.from({ length: limits.standingLeaveQueriesMax }, (_, n) =>
        world.add({ hash: `q${n}`, on: ALL }),
      ),
    );
    const problem = await problemOf(() => world.add({ hash: "last", on: ALL }));
    expect(problem.code).toBe("limit_reached");
    await world.add({ hash: "last" });
  });
});
