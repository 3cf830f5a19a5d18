import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import type { NewPublication } from "../../../src/store/room-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { OPENERS } from "./openers.ts";

const START_MS = 1_000_000;
const WHOLE = { after: 0, upTo: 1e9, limit: 1e6, charactersMax: 1e9 };

const laps = (room: string, count: number): NewPublication[] =>
  Array.from({ length: count }, (_, lap) => ({ room, data: String(lap) }));

/** Writes publications in writes of the size that is allowed. */
async function append(store: Store, publications: NewPublication[], atMs = START_MS) {
  const offsets: number[] = [];
  for (let start = 0; start < publications.length; start += limits.publicationsPerWriteMax) {
    const slice = publications.slice(start, start + limits.publicationsPerWriteMax);
    offsets.push(...(await store.appendPublications(slice, atMs)).offsets);
  }
  return offsets;
}

const offsetsOf = (rows: readonly { offset: number }[]) => rows.map(({ offset }) => offset);

const storedIn = async (store: Store, room: string): Promise<number[]> =>
  offsetsOf(await store.publications(room, WHOLE));

/** What a promise fails with, as text; empty where it does not. */
const failureOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => "", String);

describe.each(OPENERS)("rooms in a %s", (_, open) => {
  test("give every publication the next offset of its room, in the order of the calls", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    const rooms = ["a", "b", "a", "a", "b"];
    const writes = Array.from({ length: 40 }, () =>
      store.appendPublications(
        rooms.map((room) => ({ room, data: "1" })),
        START_MS,
      ),
    );
    const answers = await Promise.all(writes);
    expect(answers.map(({ offsets }) => offsets)).toEqual(
      answers.map((__, at) => [3 * at + 1, 2 * at + 1, 3 * at + 2, 3 * at + 3, 2 * at + 2]),
    );
    expect(await store.room("a")).toMatchObject({ name: "a", head: 120, floor: 0, listed: true });
    expect(await store.room("none")).toBeUndefined();
  });

  test("have what was acknowledged after they were closed and opened", async () => {
    using dir = tempDir();
    {
      await using store = await open(dir.path);
      const publication = { room: "a", data: '{"lap":1}', from: "ana", key: "k" };
      await store.appendPublications([publication], START_MS);
    }
    await using store = await open(dir.path);
    expect(await store.publications("a", WHOLE)).toEqual([
      { offset: 1, atMs: START_MS, from: "ana", data: '{"lap":1}' },
    ]);
    const again = [
      { room: "a", data: "2", key: "k" },
      { room: "a", data: "3" },
    ];
    expect(await store.appendPublications(again, START_MS + 1)).toEqual({
      offsets: [1, 2],
      repeated: [{ index: 0, atMs: START_MS }],
    });
  });

  test("are read in pages from either end, bounded by number and by size", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await append(store, laps("a", 20));
    const page = { after: 3, upTo: 12, limit: 4, charactersMax: 100 };
    expect(offsetsOf(await store.publications("a", page))).toEqual([4, 5, 6, 7]);
    expect(offsetsOf(await store.lastPublications("a", page))).toEqual([9, 10, 11, 12]);
    const small = { ...page, charactersMax: 3 };
    expect(offsetsOf(await store.publications("a", small))).toEqual([4, 5, 6]);
    expect(offsetsOf(await store.lastPublications("a", small))).toEqual([12]);
    expect(await store.publications("none", page)).toEqual([]);
  });

  test("find the first publication that is young enough", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    for (let lap = 1; lap <= 9; lap++) await append(store, laps("a", 1), START_MS + lap * 10);
    const first = (after: number, afterMs: number) =>
      store.firstPublication("a", { after, upTo: 9, afterMs: START_MS + afterMs });
    expect(await first(0, 0)).toBe(1);
    expect(await first(0, 10)).toBe(2);
    expect(await first(0, 75)).toBe(8);
    expect(await first(5, 0)).toBe(6);
    expect(await first(0, 90)).toBe(10);
    expect(await first(9, 0)).toBe(10);
  });

  test("remove what is beyond their number in batches", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await store.configureRoom("a", { historyMessages: 100, historySeconds: 60, head: 0 });
    let most = 0;
    for (let round = 0; round < 60; round++) {
      await append(store, laps("a", 20));
      most = Math.max(most, (await storedIn(store, "a")).length);
    }
    expect(most).toBeLessThan(200);
    const stored = await storedIn(store, "a");
    expect(stored.slice(-100)).toEqual(Array.from({ length: 100 }, (__, at) => 1101 + at));
  });

  test("remove what is past its time, or more than they keep, when they are trimmed", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await append(store, [...laps("old", 700), ...laps("fewer", 700)]);
    await append(store, laps("old", 5), START_MS + 86_400_000);
    await store.configureRoom("fewer", { historyMessages: 3, historySeconds: 1e6, head: 0 });
    await store.trimRooms(START_MS + 86_399_999);
    expect(await storedIn(store, "old")).toHaveLength(705);
    expect(await storedIn(store, "fewer")).toEqual([698, 699, 700]);
    await store.trimRooms(START_MS + 86_400_000);
    expect(await storedIn(store, "old")).toEqual([701, 702, 703, 704, 705]);
    expect(await append(store, laps("old", 1))).toEqual([706]);
  });

  test("know a key for five minutes, and forget it when they are trimmed", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    const keyed = { room: "a", data: "1", key: "k" };
    const at = async (ms: number) => (await store.appendPublications([keyed], ms)).offsets[0];
    expect(await at(START_MS)).toBe(1);
    await store.trimRooms(START_MS + limits.publicationKeyMs - 1);
    expect(await at(START_MS + limits.publicationKeyMs - 1)).toBe(1);
    expect(await at(START_MS + limits.publicationKeyMs)).toBe(2);
    await store.trimRooms(START_MS + 3 * limits.publicationKeyMs);
    expect(await at(START_MS + 1)).toBe(3);
  });

  test("forget their publications and go on counting", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await append(store, laps("a", 300));
    expect(await store.forgetRoom("a", 0)).toMatchObject({ head: 300, floor: 300, listed: false });
    expect(await store.forgetRoom("a", 0)).toBeUndefined();
    expect(await store.forgetRoom("none", 0)).toBeUndefined();
    expect(await store.rooms({ after: "", limit: 10 })).toEqual([]);
    expect(await append(store, laps("a", 1))).toEqual([301]);
    expect(await store.rooms({ after: "", limit: 10 })).toMatchObject([{ name: "a", head: 301 }]);
    await store.trimRooms(START_MS);
    expect(await storedIn(store, "a")).toEqual([301]);
  });

  test("take over offsets that were counted elsewhere while nothing was stored", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await append(store, laps("a", 10));
    const kept = { historySeconds: 60, historyMessages: 100 };
    const without = { ...kept, historyMessages: 0, head: 10 };
    expect(await store.configureRoom("a", without)).toMatchObject({ floor: 10, life: 1 });
    const back = await store.configureRoom("a", { ...kept, head: 5_000_000_000 });
    expect(back).toMatchObject({ head: 5_000_000_000, floor: 5_000_000_000, life: 2 });
    await store.trimRooms(START_MS);
    expect(await storedIn(store, "a")).toEqual([]);
    expect(await append(store, laps("a", 2))).toEqual([5_000_000_001, 5_000_000_002]);
    expect(await store.configureRoom("a", { ...kept, head: 0 })).toMatchObject({ life: 2 });
  });

  test("are written with their publications or not at all", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    // What is no text breaks the write off in its midst.
    const broken = { room: "b", data: "1", from: JSON.parse("[1]") };
    const write = store.appendPublications([...laps("a", 3), broken], START_MS);
    expect(await failureOf(write)).not.toBe("");
    expect(await store.room("a")).toBeUndefined();
    expect(await append(store, laps("a", 1))).toEqual([1]);
  });

  test("take a bounded number of publications at once", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    const many = laps("a", limits.publicationsPerWriteMax + 1);
    expect(await failureOf(store.appendPublications(many, START_MS))).toContain("bounded");
    const most = Array.from({ length: 1000 }, () =>
      store.appendPublications(laps("a", limits.publicationsPerWriteMax), START_MS),
    );
    expect((await problemOf(() => Promise.all(most))).code).toBe("busy");
    await Promise.allSettled(most);
  });
});
