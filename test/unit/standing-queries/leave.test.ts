import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { openWorld, replayed, type Frame, type World } from "./world.ts";
import { eventually } from "../../support/process.ts";

const ALL = ["insert", "update", "leave"] as const;

const short = (frames: readonly Frame[]) =>
  frames.map(({ doc, event, offset }) => [doc, event, offset]);

const at = async ({ stream }: Awaited<ReturnType<World["open"]>>, offset: number) =>
  eventually(`the head is ${offset}`, () => stream.head() === offset || undefined);

describe("a query that asks for leave", () => {
  test("hears of documents that match no longer, by a change or by their end", async () => {
    await using world = await openWorld();
    await world.open({ on: ALL });
    await world.put({ a: "tyres", b: "tyres", c: "rain" });
    // A change replaced before it was matched is told to nobody.
    await world.heard(2);
    await world.put({ a: "rain", c: "more rain" });
    await world.remove("b", "c");
    const frames = await world.heard(4);
    expect(short(frames)).toEqual([
      ["a", "insert", 1],
      ["b", "insert", 2],
      ["a", "leave", 4],
      ["b", "leave", 6],
    ]);
    expect(frames[2]).toMatchObject({ score: null, data: {}, version: 4 });
  });

  test("knows of the documents that matched when it was registered", async () => {
    await using world = await openWorld();
    await world.put(Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`d${n}`, "tyres"])));
    await world.open({ on: ["leave"] });
    await world.put({ d7: "rain" });
    await world.remove("d89");
    expect(short(await world.heard(2))).toEqual([
      ["d7", "leave", 91],
      ["d89", "leave", 92],
    ]);
  });

  test("resumes with what left, also across a restart in which it left", async () => {
    await using world = await openWorld();
    const query = await world.open({ on: ALL });
    await world.put({ a: "tyres", b: "tyres", c: "tyres" });
    await at(query, 3);
    await world.put({ a: "rain" });
    await at(query, 4);
    expect(short(await replayed(query, 3))).toEqual([["a", "leave", 4]]);
    await world.restart();
    await world.put({ b: "rain", d: "tyres" });
    await world.remove("c");
    const again = await world.open({ on: ALL });
    await at(again, 7);
    expect(short(await replayed(again, 3))).toEqual([
      ["a", "leave", 4],
      ["b", "leave", 5],
      ["d", "insert", 6],
      ["c", "leave", 7],
    ]);
  });

  test("cannot be resumed from before it was first registered", async () => {
    await using world = await openWorld();
    await world.put({ a: "tyres" });
    await world.put({ a: "rain" });
    const { stream } = await world.open({ on: ["leave"] });
    const { epoch } = world.store;
    const early = await stream.resume({ since: { epoch, offset: 1 } });
    expect(early).toMatchObject({ recovered: false, reason: "too_old" });
    await world.restart();
    const again = await world.open({ on: ["leave"] });
    expect(await again.stream.resume({ since: { epoch, offset: 1 } })).toMatchObject({
      reason: "too_old",
    });
    expect(await again.stream.resume({ since: { epoch, offset: 2 } })).toMatchObject({
      recovered: true,
    });
  });

  test("is forgotten when nobody asked for it for long, and begins anew", async () => {
    await using world = await openWorld();
    await world.put({ a: "tyres" });
    const first = await world.open({ on: ["leave"] });
    const hash = first.stream.sub.slice("q:".length);
    await world.queries[Symbol.asyncDispose]();
    expect(await world.store.standingState(hash)).toEqual({ sequence: 1, knownFrom: 1 });
    expect(await world.store.standingInside(world.collectionKey, "a")).toEqual([hash]);
    const old = { usedBeforeMs: Date.now() + 1, except: [] };
    while (await world.store.forgetStanding(old));
    expect(await world.store.standingState(hash)).toBeUndefined();
    expect(await world.store.standingInside(world.collectionKey, "a")).toEqual([]);
  });

  test("leaves nothing for ever of those that nobody comes back for, while it goes on itself", async () => {
    await using world = await openWorld({ roundMs: 150 });
    const { store, collectionKey } = world;
    const queries = Array.from({ length: limits.standingLeaveQueriesKeptMax }, (_, n) => ({
      query: `old${n}`,
      sequence: 0,
      knownFrom: 0,
    }));
    await store.keepStanding({ collectionKey, queries, matches: [] });
    await world.put({ a: "tyres" });
    await world.open({ on: ["leave"] });
    await eventually("the oldest is forgotten", async () => {
      return (await store.standingState("old0")) === undefined || undefined;
    });
    await world.put({ a: "rain" });
    expect(short(await world.heard(1))).toEqual([["a", "leave", 2]]);
  });

  test("knows of those that waited for their vectors when it was registered", async () => {
    await using world = await openWorld();
    await world.put({ a: "worn tyres" });
    await world.open({ on: ["leave"] });
    const meaning = { text: "worn tyres", mode: "semantic", min_score: 0.4 } as const;
    const query = await world.open({ ...meaning, on: ["leave"] });
    await world.embed();
    await at(query, 1);
    await world.put({ a: "milk and sugar" });
    await world.embed();
    expect(short(await world.heard(2))).toEqual([
      ["a", "leave", 2],
      ["a", "leave", 2],
    ]);
  });

  test("waits for vectors like any other", async () => {
    await using world = await openWorld();
    await world.open({ text: "worn tyres", mode: "semantic", min_score: 0.4, on: ALL });
    await world.put({ a: "worn tyres" });
    await world.embed();
    await world.heard(1);
    await world.put({ a: "milk and sugar" });
    await world.embed();
    expect(short(await world.heard(2))).toEqual([
      ["a", "insert", 1],
      ["a", "leave", 2],
    ]);
  });
});
