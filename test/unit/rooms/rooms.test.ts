import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { problemOf } from "../problems/problem-of.ts";
import { follower, openWorld, span } from "./world.ts";

const frameOf = (text: string | undefined): unknown => JSON.parse(text ?? "null");

describe("a publication", () => {
  test("gets the next offset of its room, and is told before its promise resolves", async () => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    const first = await rooms.publish("news", { lap: 1 }, { from: "ana" });
    expect(first).toEqual({ offset: 1, ts: "2026-01-01T00:00:00.000Z" });
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ sub: "r:news", offset: 1 });
    expect(told[0]?.frame).toBe(
      '{"type":"message","sub":"r:news","room":"news","offset":1,"ts":"2026-01-01T00:00:00.000Z","data":{"lap":1},"from":"ana"}',
    );
    expect((await rooms.publish("other", null)).offset).toBe(1);
    expect((await rooms.publish("news", [2])).offset).toBe(2);
    expect(rooms.stream("news").head()).toBe(2);
    expect(frameOf(told[2]?.frame)).not.toHaveProperty("from");
  });

  test("published beside many others is told in the order of the offsets, in each room", async () => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    const publish = (_: unknown, index: number) => rooms.publish(`r${index % 3}`, index);
    const answers = await Promise.all(Array.from({ length: 900 }, publish));
    for (const room of ["r0", "r1", "r2"]) {
      const offsets = told.filter(({ sub }) => sub === `r:${room}`).map(({ offset }) => offset);
      expect(offsets).toEqual(span(1, 300));
    }
    expect(answers.map(({ offset }) => offset)).toEqual(
      answers.map((_, index) => Math.floor(index / 3) + 1),
    );
  });

  test("goes on counting after a restart, and none is told again", async () => {
    await using world = await openWorld();
    await world.life.rooms.publish("news", 1);
    const { rooms, told } = await world.restart();
    expect((await rooms.publish("news", 2)).offset).toBe(2);
    expect(told.map(({ offset }) => offset)).toEqual([2]);
  });

  test("may be any JSON value of up to 32 KB, and keeps it to the letter", async () => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    const values = [null, 0, "", "line\n\u2028 \ud800 ü", [[]], { a: { b: [1.5, false] } }, true];
    for (const value of values) await rooms.publish("news", value);
    await world.restart();
    const { items } = await world.life.rooms.history("news");
    expect(items.map(({ data }) => data)).toEqual(values);
    expect(told.map(({ frame }) => frameOf(frame))).toMatchObject(values.map((data) => ({ data })));
    const largest = "x".repeat(limits.messageBytesMax - 2);
    expect((await world.life.rooms.publish("news", largest)).offset).toBe(values.length + 1);
  });

  test.each([
    { why: "data that is too large", data: "x".repeat(limits.messageBytesMax - 1) },
    { why: "data too large in bytes alone", data: "ü".repeat(limits.messageBytesMax / 2) },
  ])("with $why is refused, and nothing is told", async ({ data }) => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    expect((await problemOf(() => rooms.publish("news", data))).code).toBe("too_large");
    expect(told).toEqual([]);
  });

  test.each([
    { why: "no data", data: undefined },
    { why: "an empty name", room: "" },
    { why: "a name with a space", room: "a b" },
    { why: "a name that is too long", room: "r".repeat(129) },
    { why: "an empty key", options: { key: "" } },
    { why: "a key that is too long", options: { key: "k".repeat(256) } },
    { why: "a sender that is no text", options: { from: "\ud800" } },
  ])("with $why is refused, and nothing is told", async (wrong) => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    const { room, data, options } = { room: "news", data: 1, options: {}, ...wrong };
    const problem = await problemOf(() => rooms.publish(room, data, options));
    expect(problem.code).toBe("invalid_request");
    expect(told).toEqual([]);
    expect(await rooms.list({ after: "", limit: 10 })).toEqual([]);
  });

  test("nested deeper than JSON can be written is refused", async () => {
    await using world = await openWorld();
    const loop: unknown[] = [];
    loop.push(loop);
    expect((await problemOf(() => world.life.rooms.publish("news", loop))).code).toBe("too_deep");
  });

  test("that the store refuses is refused alone, and leaves no hole", async () => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    await rooms.publish("news", 1);
    await world.stop();
    expect((await problemOf(() => rooms.publish("news", 2))).code).toBe("not_ready");
    expect((await world.restart()).told).toEqual([]);
    expect((await world.life.rooms.publish("news", 2)).offset).toBe(2);
    expect(told.map(({ offset }) => offset)).toEqual([1]);
  });
});

describe("a publication with a key", () => {
  test.each([
    ["stored", 1000],
    ["without a past", 0],
  ])("is one within five minutes, in a room %s", async (_, history_messages) => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    await rooms.configure("news", { history_messages });
    const [first, beside] = await Promise.all([
      rooms.publish("news", 1, { key: "k" }),
      rooms.publish("news", 1, { key: "k" }),
    ]);
    expect(first).not.toHaveProperty("duplicate");
    expect(beside).toEqual({ ...first, duplicate: true });
    world.clock.pass(299_999);
    expect(await rooms.publish("news", 1, { key: "k" })).toEqual({ ...first, duplicate: true });
    expect((await rooms.publish("news", 2, { key: "other" })).offset).toBe(2);
    expect(told.map(({ offset }) => offset)).toEqual([1, 2]);
    world.clock.pass(1);
    const later = await rooms.publish("news", 1, { key: "k" });
    expect(later).toMatchObject({ offset: 3, ts: "2026-01-01T00:05:00.000Z" });
    expect(later).not.toHaveProperty("duplicate");
  });

  test("is one across a restart, and of its room alone", async () => {
    await using world = await openWorld();
    await world.life.rooms.publish("news", 1, { key: "k" });
    const { rooms, told } = await world.restart();
    expect(await rooms.publish("news", 1, { key: "k" })).toMatchObject({
      offset: 1,
      duplicate: true,
    });
    expect(await rooms.publish("other", 1, { key: "k" })).not.toHaveProperty("duplicate");
    expect(told.map(({ sub }) => sub)).toEqual(["r:other"]);
  });
});

describe("a room without a past", () => {
  test("writes nothing, and counts on in memory", async () => {
    await using world = await openWorld();
    const { rooms, store, told } = world.life;
    await rooms.configure("talk", { history_messages: 0 });
    const before = store.version();
    for (const offset of span(1, 5)) expect((await rooms.publish("talk", 1)).offset).toBe(offset);
    expect(store.version()).toBe(before);
    expect(told.map(({ offset }) => offset)).toEqual(span(1, 5));
    expect(await rooms.history("talk")).toMatchObject({
      items: [],
      more: false,
      head: 5,
      oldest: 6,
    });
    expect(await rooms.list({ after: "", limit: 5 })).toMatchObject([{ name: "talk", head: 5 }]);
  });

  test("recovers who missed nothing, and tells everybody else", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await rooms.configure("talk", { history_messages: 0 });
    for (const _ of span(1, 5)) await rooms.publish("talk", 1);
    const stream = rooms.stream("talk");
    const { epoch } = await stream.resume({});
    const at = (offset: number) => stream.resume({ since: { epoch, offset } });
    expect(await at(5)).toMatchObject({ recovered: true, after: 5, replay: 0 });
    expect(await at(4)).toMatchObject({ recovered: false, reason: "too_old", after: 5, replay: 0 });
    expect(await at(6)).toMatchObject({ recovered: false, reason: "ahead" });
    const { rooms: again } = await world.restart();
    const later = await again.stream("talk").resume({ since: { epoch, offset: 5 } });
    expect(later).toMatchObject({ recovered: false, reason: "epoch_changed" });
  });

  test("is replayed to who subscribes while others publish", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await rooms.configure("talk", { history_messages: 0 });
    const stream = rooms.stream("talk");
    const { after } = await stream.resume({});
    await rooms.publish("talk", "between");
    const page = await stream.read({ after, upTo: stream.head(), framesMax: 5, bytesMax: 1000 });
    expect(page.frames.map(frameOf)).toMatchObject([{ offset: 1, data: "between" }]);
  });

  test("that begins to have one, or ends, gives no offset twice and changes its epoch", async () => {
    await using world = await openWorld();
    const { rooms, told } = world.life;
    const epochs = new Set<string>();
    for (const history_messages of [10, 0, 10, 0, 20, 10]) {
      await rooms.configure("talk", { history_messages });
      epochs.add((await rooms.stream("talk").resume({})).epoch);
      const sent = span(1, 4).map((data) => rooms.publish("talk", data));
      if (history_messages === 20) await Promise.all(sent);
    }
    await rooms.configure("talk", { history_seconds: 60 });
    expect(told.map(({ offset }) => offset)).toEqual(span(1, 24));
    expect(epochs.size).toBe(5);
    const { items, oldest } = await rooms.history("talk");
    expect(items.map(({ offset }) => offset)).toEqual(span(17, 24));
    expect(oldest).toBe(17);
  });
});

describe("what a room keeps", () => {
  test("is a thousand messages for a day, unless somebody says otherwise", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    const defaults = { history_messages: 1000, history_seconds: 86_400 };
    expect(await rooms.settings("news")).toEqual({ name: "news", head: 0, ...defaults });
    expect(await rooms.configure("news", { history_messages: 5 })).toMatchObject({
      history_messages: 5,
      history_seconds: 86_400,
    });
    await rooms.configure("news", { history_seconds: 60 });
    const { rooms: again } = await world.restart();
    expect(await again.settings("news")).toMatchObject({
      history_messages: 5,
      history_seconds: 60,
    });
  });

  test.each([
    { history_messages: -1 },
    { history_messages: 1.5 },
    { history_messages: limits.historyMessagesMax + 1 },
    { history_seconds: limits.historySecondsMax + 1 },
    { history_seconds: Number.NaN },
  ])("is refused where it is %p", async (settings) => {
    await using world = await openWorld();
    const problem = await problemOf(() => world.life.rooms.configure("news", settings));
    expect(problem.code).toBe("invalid_request");
  });

  test("ends by number and by age, whether it was removed yet or not", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await rooms.configure("news", { history_messages: 20, history_seconds: 60 });
    for (const _ of span(1, 10)) await rooms.publish("news", 1);
    world.clock.pass(30_000);
    for (const _ of span(11, 25)) await rooms.publish("news", 1);
    const { epoch } = await rooms.stream("news").resume({});
    const resume = async (offset: number, from = rooms) =>
      (await from.stream("news").resume({ since: { epoch, offset } })).reason ?? "recovered";
    expect(await resume(4)).toBe("too_old");
    expect(await resume(5)).toBe("recovered");
    expect((await rooms.history("news", { after: 0 })).items[0]?.offset).toBe(6);
    world.clock.pass(30_000);
    // The first ones are a minute old now.
    expect(await resume(9)).toBe("too_old");
    expect(await resume(10)).toBe("recovered");
    expect((await rooms.history("news")).oldest).toBe(11);
    expect(await rooms.stream("news").resume({ history: 100 })).toMatchObject({
      after: 10,
      replay: 15,
    });
    const { rooms: again } = await world.restart();
    expect(await resume(9, again)).toBe("too_old");
    expect(await resume(10, again)).toBe("recovered");
    world.clock.pass(60_000);
    expect(await resume(24, again)).toBe("too_old");
    expect(await resume(25, again)).toBe("recovered");
    expect((await again.history("news")).items).toEqual([]);
  });

  test("comes page by page, forwards and backwards", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    for (const lap of span(1, 25)) await rooms.publish("news", { lap }, { from: `s${lap}` });
    const offsets = async (options: Parameters<typeof rooms.history>[1]) => {
      const { items, more } = await rooms.history("news", options);
      return { offsets: items.map(({ offset }) => offset), more };
    };
    expect(await offsets({ limit: 3 })).toEqual({ offsets: [23, 24, 25], more: true });
    expect(await offsets({ before: 4, limit: 3 })).toEqual({ offsets: [1, 2, 3], more: false });
    expect(await offsets({ before: 9, limit: 3 })).toEqual({ offsets: [6, 7, 8], more: true });
    expect(await offsets({ before: 1 })).toEqual({ offsets: [], more: false });
    expect(await offsets({ after: 0, limit: 3 })).toEqual({ offsets: [1, 2, 3], more: true });
    expect(await offsets({ after: 22, limit: 3 })).toEqual({ offsets: [23, 24, 25], more: false });
    expect(await offsets({ after: 25 })).toEqual({ offsets: [], more: false });
    expect((await rooms.history("news", { after: 24 })).items).toEqual([
      { offset: 25, ts: "2026-01-01T00:00:00.000Z", data: { lap: 25 }, from: "s25" },
    ]);
    expect(await rooms.history("empty")).toMatchObject({ items: [], head: 0, oldest: 1 });
    const both = await problemOf(() => rooms.history("news", { after: 1, before: 5 }));
    expect(both.code).toBe("invalid_request");
  });

  test("comes in pages of a bounded size", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    const text = "x".repeat(30_000);
    for (const _ of span(1, 20)) await rooms.publish("news", text);
    const page = await rooms.history("news", { after: 0 });
    expect(page.items.map(({ offset }) => offset)).toEqual(span(1, 6));
    expect(page.more).toBe(true);
    const last = await rooms.history("news");
    expect(last.items.map(({ offset }) => offset)).toEqual(span(15, 20));
  });

  test("is forgotten when the room is removed, and its offsets go on", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await rooms.configure("news", { history_messages: 50 });
    for (const _ of span(1, 10)) await rooms.publish("news", 1);
    const { epoch } = await rooms.stream("news").resume({});
    expect(await rooms.remove("news")).toBe(true);
    expect(await rooms.remove("news")).toBe(false);
    expect(await rooms.remove("unknown")).toBe(false);
    expect(await rooms.list({ after: "", limit: 5 })).toEqual([]);
    expect(await rooms.settings("news")).toMatchObject({ head: 10, history_messages: 1000 });
    expect((await rooms.history("news")).items).toEqual([]);
    expect((await rooms.publish("news", 2)).offset).toBe(11);
    const resume = (offset: number, from = rooms) =>
      from.stream("news").resume({ since: { epoch, offset } });
    expect(await resume(9)).toMatchObject({ recovered: false, reason: "too_old" });
    expect(await resume(10)).toMatchObject({ recovered: true, replay: 1 });
    const { rooms: again } = await world.restart();
    expect(await resume(9, again)).toMatchObject({ recovered: false, reason: "too_old" });
    expect(await resume(10, again)).toMatchObject({ recovered: true, replay: 1 });
  });

  test("is removed from disk some time after, without anything that can be read", async () => {
    await using world = await openWorld();
    const { rooms, store } = world.life;
    await rooms.configure("short", { history_seconds: 10 });
    for (const room of ["short", "gone", "kept"])
      await Promise.all(span(1, 600).map(() => rooms.publish(room, 1)));
    await rooms.remove("gone");
    const stored = async (room: string) => {
      const range = { after: 0, upTo: 1e9, limit: 10_000, charactersMax: 1e9 };
      return (await store.publications(room, range)).length;
    };
    expect(await stored("gone")).toBe(600);
    world.clock.pass(60_000);
    while ((await stored("gone")) + (await stored("short")) > 0) await new Promise(setImmediate);
    expect(await stored("kept")).toBe(600);
    expect((await rooms.publish("gone", 1)).offset).toBe(601);
  });
});

describe("rooms", () => {
  test("are listed by name, with those that somebody subscribes to left out", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    for (const name of ["b", "a", "c"]) await rooms.publish(name, 1);
    await rooms.stream("never-used").resume({});
    const names = async (after: string, limit: number) =>
      (await rooms.list({ after, limit })).map(({ name }) => name);
    expect(await names("", 2)).toEqual(["a", "b"]);
    expect(await names("b", 2)).toEqual(["c"]);
  });

  test("that are forgotten by this process are the same when somebody still holds them", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await rooms.configure("talk", { history_messages: 0 });
    const held = rooms.stream("talk");
    await rooms.publish("talk", 1);
    const { epoch } = await held.resume({});
    for (const index of span(1, limits.roomsRememberedMax)) rooms.stream(`other-${index}`);
    expect((await rooms.publish("talk", 2)).offset).toBe(2);
    expect(held.head()).toBe(2);
    expect((await rooms.stream("talk").resume({})).epoch).toBe(epoch);
  });

  test("stop waiting for anything when they are closed", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    rooms.presence.join("news", "s");
    expect(world.clock.waiting).toBe(2);
    rooms[Symbol.dispose]();
    expect(world.clock.waiting).toBe(0);
  });
});

describe("a replay", () => {
  test("ends with a problem where the room has removed what comes next", async () => {
    await using world = await openWorld();
    await Promise.all(span(1, 5).map(() => world.life.rooms.publish("news", 1)));
    const { rooms } = await world.restart();
    const stream = rooms.stream("news");
    await stream.resume({ history: 5 });
    const page = { after: 0, upTo: 5, framesMax: 2, bytesMax: 1000 };
    expect((await stream.read(page)).upTo).toBe(2);
    await rooms.remove("news");
    const problem = await problemOf(() => stream.read({ ...page, after: 2 }));
    expect(problem.code).toBe("history_lost");
  });

  test("comes from memory and from disk alike, in pages of a bounded size", async () => {
    await using world = await openWorld();
    await Promise.all(span(1, 30).map((lap) => world.life.rooms.publish("news", { lap })));
    const read = async () => {
      const stream = world.life.rooms.stream("news");
      await stream.resume({});
      const pages: (readonly string[])[] = [];
      for (let after = 0; after < stream.head(); after += pages.at(-1)?.length ?? 0) {
        const page = await stream.read({ after, upTo: 25, framesMax: 7, bytesMax: 500 });
        expect(page.upTo).toBe(Math.max(25, after) === after ? 25 : after + page.frames.length);
        if (page.frames.length === 0) break;
        pages.push(page.frames);
      }
      return pages.flat();
    };
    const inMemory = await read();
    expect(inMemory.map((frame) => JSON.parse(frame).offset)).toEqual(span(1, 25));
    await world.restart();
    expect(await read()).toEqual(inMemory);
  });

  test("of the last messages begins where they do", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await Promise.all(span(1, 8).map(() => rooms.publish("news", 1)));
    const last = follower("news");
    await last.follow(rooms, { history: 3 });
    await rooms.publish("news", 1);
    expect(last.offsets).toEqual(span(6, 9));
    expect(last.resume).toMatchObject({ recovered: false, after: 5, replay: 3, offset: 8 });
    expect(last.resume?.reason).toBeUndefined();
  });
});
