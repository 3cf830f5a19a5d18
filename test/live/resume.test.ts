import { describe, expect, test } from "bun:test";
import { LIVE_FRAMES } from "../../src/contract/live.ts";
import { shaped, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { openEdge } from "./edge.ts";
import { FAST, openRawClient, type RawClient } from "./raw-client.ts";

/** Numbers that look random and are the same in every run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Reading {
  /** Offsets, each as it came. */
  offsets: number[];
  recovered: boolean[];
  position: { epoch: string; offset: number } | undefined;
}

/** Reads a room from where the reading stands until `upTo`, or until `count` messages came; then the connection is broken off. */
async function read(url: string, reading: Reading, stop: { upTo: number; count: number }) {
  using client = await openRawClient(url);
  const since = reading.position === undefined ? {} : { since: reading.position };
  const asked = await client.ask({ type: "subscribe", id: "s", room: "news", ...since });
  const { epoch, offset, recovered } = shaped(LIVE_FRAMES.subscribed, asked);
  if (reading.position !== undefined) reading.recovered.push(recovered);
  reading.position ??= { epoch, offset };
  for (let count = 0; count < stop.count && reading.position.offset < stop.upTo; count++) {
    const message = shaped(LIVE_FRAMES.message, await client.next("message"));
    reading.offsets.push(message.offset);
    reading.position = { epoch, offset: message.offset };
  }
  client.drop();
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

async function publishMany(client: RawClient, count: number, data: (index: number) => unknown) {
  for (let start = 1; start <= count; start += 16) {
    const end = Math.min(count, start + 15);
    for (let index = start; index <= end; index++)
      client.send({ type: "publish", id: `p${index}`, room: "news", data: data(index) });
    await client.take((frame) => frame.id === `p${end}`);
  }
}

describe("resume", () => {
  test("gives thirty clients that drop five times each every message once, in order", async () => {
    await using server = await startServer({ env: FAST });
    const seed = 20_261;
    const random = randomOf(seed);
    const total = 1500;
    const readings = Array.from({ length: 30 }, (): Reading => ({
      offsets: [],
      recovered: [],
      position: undefined,
    }));
    using writer = await openRawClient(server.url);
    // All have a position before the first message.
    await Promise.all(readings.map((reading) => read(server.url, reading, { upTo: 0, count: 0 })));
    const drops = readings.map(() =>
      Array.from({ length: 5 }, () => Math.floor(random() * (total / 6))),
    );
    const reading = readings.map(async (one, index) => {
      for (const count of drops[index] ?? []) await read(server.url, one, { upTo: total, count });
      await read(server.url, one, { upTo: total, count: Infinity });
    });
    await publishMany(writer, total, (index) => ({ index }));
    await Promise.all(reading);
    for (const { offsets, recovered } of readings) {
      expect(offsets).toEqual(upTo(total));
      expect(recovered).toEqual(Array.from({ length: 6 }, () => true));
    }
  }, 30_000);

  test("gives a reader that stutters twenty thousand messages, while new ones come, without a gap or a repeat", async () => {
    await using edge = await openEdge({ env: FAST });
    await edge.rooms.configure("news", { history_messages: 100_000 });
    const text = "x".repeat(500);
    const add = (count: number) =>
      Promise.all(Array.from({ length: count }, () => edge.rooms.publish("news", text)));
    for (let batch = 0; batch < 40; batch++) await add(500);
    using client = await openRawClient(edge.url);
    await client.next("welcome");
    const { epoch } = await edge.rooms.history("news", { limit: 1 });
    const subscribed = await client.ask({
      type: "subscribe",
      id: "s",
      room: "news",
      since: { epoch, offset: 0 },
    });
    expect(subscribed).toMatchObject({ recovered: true, replay: 20_000 });
    const total = 21_000;
    const got: unknown[] = [];
    let added = 0;
    while (got.length < total) {
      got.push((await client.next("message"))["offset"]);
      if (got.length % 400 !== 0) continue;
      client.pause();
      if (added < 1000) await add(100);
      added += 100;
      client.resume();
    }
    expect(got).toEqual(upTo(total));
    expect(await client.next("caught_up")).toMatchObject({ sub: "r:news" });
    expect(edge.live.counters.slowCut).toBe(0);
  }, 60_000);

  test("goes on after a restart of the server where it was", async () => {
    using dir = tempDir();
    const env = { DATA_DIR: dir.path, ...FAST };
    const reading: Reading = { offsets: [], recovered: [], position: undefined };
    {
      await using server = await startServer({ env });
      await read(server.url, reading, { upTo: 0, count: 0 });
      using writer = await openRawClient(server.url);
      await publishMany(writer, 20, (index) => index);
      await read(server.url, reading, { upTo: 8, count: 8 });
    }
    await using server = await startServer({ env });
    using writer = await openRawClient(server.url);
    await publishMany(writer, 5, (index) => index);
    await read(server.url, reading, { upTo: 25, count: 100 });
    expect(reading.offsets).toEqual(upTo(25));
    expect(reading.recovered).toEqual([true, true]);
  });

  test("says why where it cannot go on, and the reader hears what is new", async () => {
    await using server = await startServer({ env: FAST });
    await server.call("PUT /api/v1/rooms/news", { history_messages: 5 });
    using writer = await openRawClient(server.url);
    await publishMany(writer, 200, (index) => index);
    const { epoch } = shaped(
      LIVE_FRAMES.history,
      await writer.ask({ type: "history", id: "h", room: "news" }),
    );
    const cases = {
      too_old: { epoch, offset: 100 },
      ahead: { epoch, offset: 1000 },
      epoch_changed: { epoch: "another", offset: 200 },
    };
    for (const [reason, since] of Object.entries(cases)) {
      using reader = await openRawClient(server.url);
      const subscribed = await reader.ask({ type: "subscribe", id: "s", room: "news", since });
      expect(subscribed).toMatchObject({ recovered: false, reason, replay: 0 });
      const head = shaped(LIVE_FRAMES.subscribed, subscribed).offset;
      await reader.next("caught_up");
      await writer.ask({ type: "publish", id: reason, room: "news", data: reason });
      expect(await reader.next("message")).toMatchObject({ offset: head + 1, data: reason });
    }
  });

  test("ends a replay whose messages are removed while it is under way, and says so", async () => {
    await using edge = await openEdge({ env: FAST });
    await edge.rooms.configure("news", { history_messages: 100_000 });
    for (let batch = 0; batch < 10; batch++)
      await Promise.all(upTo(100).map(() => edge.rooms.publish("news", "x".repeat(30_000))));
    using client = await openRawClient(edge.url);
    await client.next("welcome");
    client.send({ type: "subscribe", id: "s", room: "news", history: 1000 });
    await client.next("subscribed");
    client.pause();
    await edge.rooms.remove("news");
    client.resume();
    const ended = shaped(LIVE_FRAMES.unsubscribed, await client.next("unsubscribed"));
    expect(ended).toMatchObject({ sub: "r:news", code: "unrecoverable" });
    const again = await client.ask({ type: "subscribe", id: "again", room: "news" });
    expect(again).toMatchObject({ type: "subscribed" });
  }, 30_000);
});
