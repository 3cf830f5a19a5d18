import { describe, expect, test } from "bun:test";
import { LIVE_FRAMES } from "../../src/contract/live.ts";
import { shaped, startServer } from "../support/server.ts";
import { openEdge } from "./edge.ts";
import { FAST, openRawClient, type Json, type RawClient } from "./raw-client.ts";

const offsetsOf = (frames: readonly Json[]): unknown[] => frames.map((frame) => frame["offset"]);

/** Subscribes and waits until it is live. */
async function join(client: RawClient, room: string, more: Record<string, unknown> = {}) {
  const subscribed = await client.ask({ type: "subscribe", id: `join ${room}`, room, ...more });
  await client.take((frame) => frame.type === "caught_up" && frame["sub"] === `r:${room}`);
  return shaped(LIVE_FRAMES.subscribed, subscribed);
}

async function publish(client: RawClient, room: string, data: unknown) {
  return publishWith(client, { room, data });
}

async function publishWith(client: RawClient, fields: Record<string, unknown>) {
  const published = await client.ask({ type: "publish", id: crypto.randomUUID(), ...fields });
  return shaped(LIVE_FRAMES.published, published);
}

describe("a connection", () => {
  test("is welcomed with what it may do", async () => {
    await using server = await startServer({ env: { WS_RATE: "7", WS_HEARTBEAT_INTERVAL: "4" } });
    using client = await openRawClient(server.url);
    const welcome = shaped(LIVE_FRAMES.welcome, await client.next("welcome"));
    expect(welcome).toMatchObject({
      protocol: "slipstream.v1",
      auth: "ok",
      heartbeat: { interval_ms: 4000, stale_ms: 45_000 },
      limits: { frame_bytes: 65_536, subscriptions: 256, rate: 7, burst: 100 },
    });
    expect(server.live).toMatchObject({ connections: 1, connectionsOpened: 1, framesOut: 1 });
  });

  test("keeps its session where it shows the same secret, and shows only a hash of it", async () => {
    await using server = await startServer();
    const secret = "a-secret-of-my-own-making";
    const sessions: unknown[] = [];
    for (const path of [
      `/live?session=${secret}`,
      `/live?session=${secret}`,
      "/live",
      "/live?session=short",
    ]) {
      using client = await openRawClient(server.url, { path });
      sessions.push((await client.next("welcome"))["session"]);
    }
    expect(sessions[0]).toBe(sessions[1]);
    expect(new Set(sessions).size).toBe(3);
    expect(secret).not.toContain(String(sessions[0]));
    for (const session of sessions) expect(session).toMatch(/^[\w-]{16}$/);
  });

  test("may say who it is at any time, and is answered when its pings are", async () => {
    await using server = await startServer();
    using client = await openRawClient(server.url);
    const authed = await client.ask({ type: "auth", id: "a", token: "t" });
    expect(shaped(LIVE_FRAMES.authed, authed)).toEqual({
      type: "authed",
      id: "a",
      expires_at: null,
    });
    const pong = shaped(LIVE_FRAMES.pong, await client.ask({ type: "ping", id: "p", t: 17 }));
    expect(pong.t).toBe(17);
  });
});

describe("a room", () => {
  test("gives a publication to all who listen, and to nobody else", async () => {
    await using server = await startServer();
    using reader = await openRawClient(server.url);
    using other = await openRawClient(server.url);
    using writer = await openRawClient(server.url);
    const { session } = shaped(LIVE_FRAMES.welcome, await writer.next("welcome"));
    expect(await join(reader, "news")).toMatchObject({ sub: "r:news", room: "news", offset: 0 });
    await join(other, "sport");
    const published = await publish(writer, "news", { title: "Ünïcode \u{1f3ce}" });
    const message = shaped(LIVE_FRAMES.message, await reader.next("message"));
    expect(message).toEqual({
      type: "message",
      sub: "r:news",
      room: "news",
      offset: 1,
      ts: published.ts,
      data: { title: "Ünïcode \u{1f3ce}" },
      from: session,
    });
    await other.ask({ type: "ping", id: "after" });
    expect([...other.all("message"), ...writer.all("message")]).toEqual([]);
    expect(server.live).toMatchObject({ publications: 1, deliveries: 1 });
  });

  test("tells publications in the order in which one connection sent them, and answers each", async () => {
    await using server = await startServer();
    using client = await openRawClient(server.url);
    await join(client, "news");
    for (let index = 0; index < 80; index++)
      client.send({ type: "publish", id: `p${index}`, room: "news", data: index });
    const history = await client.ask({ type: "history", id: "h", room: "news", limit: 300 });
    const { items, more } = shaped(LIVE_FRAMES.history, history);
    expect(items.map(({ data }) => data)).toEqual(Array.from({ length: 80 }, (_, index) => index));
    expect(more).toBe(false);
    expect(client.all("message").map(({ data }) => data)).toEqual(items.map(({ data }) => data));
    expect(offsetsOf(client.all("published"))).toEqual(items.map(({ offset }) => offset));
  });

  test("takes a publication with the same key once", async () => {
    await using server = await startServer();
    using client = await openRawClient(server.url);
    await join(client, "news");
    const first = await publishWith(client, { room: "news", data: 1, key: "k" });
    expect(await publishWith(client, { room: "news", data: 1, key: "k" })).toMatchObject({
      offset: first.offset,
      duplicate: true,
    });
    await publish(client, "news", 2);
    await client.ask({ type: "ping", id: "after" });
    expect(client.all("message").map(({ data }) => data)).toEqual([1, 2]);
  });

  test("gives a new reader as much of its past as it asks for, before anything new", async () => {
    await using server = await startServer();
    using client = await openRawClient(server.url);
    for (let index = 1; index <= 5; index++) await publish(client, "news", index);
    using reader = await openRawClient(server.url);
    const subscribed = await reader.ask({ type: "subscribe", id: "s", room: "news", history: 3 });
    expect(subscribed).toMatchObject({ offset: 5, recovered: false, replay: 3 });
    expect(await reader.next("caught_up")).toEqual({ type: "caught_up", sub: "r:news", offset: 5 });
    expect(offsetsOf(reader.all("message"))).toEqual([3, 4, 5]);
  });

  test("gives a page of its history from either end", async () => {
    await using server = await startServer();
    using client = await openRawClient(server.url);
    for (let index = 1; index <= 5; index++) await publish(client, "news", index);
    const page = async (range: Record<string, unknown>) => {
      const asked = { type: "history", id: crypto.randomUUID(), room: "news", ...range };
      const { items, more } = shaped(LIVE_FRAMES.history, await client.ask(asked));
      return { offsets: items.map(({ offset }) => offset), more };
    };
    expect(await page({ after: 1, limit: 2 })).toEqual({ offsets: [2, 3], more: true });
    expect(await page({ before: 3 })).toEqual({ offsets: [1, 2], more: false });
    expect(await page({ limit: 2 })).toEqual({ offsets: [4, 5], more: true });
  });

  test("gives no more history than fits into a frame, and says that there is more", async () => {
    await using server = await startServer();
    using client = await openRawClient(server.url);
    for (let index = 0; index < 12; index++) await publish(client, "big", "ü".repeat(15_000));
    const first = await client.ask({ type: "history", id: "f", room: "big", after: 0 });
    const last = await client.ask({ type: "history", id: "l", room: "big" });
    const offsets = [first, last].map((frame) => {
      expect(Buffer.byteLength(JSON.stringify(frame))).toBeLessThanOrEqual(256 * 1024);
      expect(frame["more"]).toBe(true);
      return shaped(LIVE_FRAMES.history, frame).items.map(({ offset }) => offset);
    });
    expect(offsets[0]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(offsets[1]).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test("is left when asked, and can be joined again", async () => {
    await using server = await startServer();
    using client = await openRawClient(server.url);
    await join(client, "news");
    const again = await client.ask({ type: "subscribe", id: "again", room: "news" });
    expect(again).toMatchObject({ type: "error", code: "already_subscribed", sub: "r:news" });
    expect(await client.ask({ type: "unsubscribe", id: "u", sub: "r:news" })).toEqual({
      type: "unsubscribed",
      id: "u",
      sub: "r:news",
    });
    await publish(client, "news", 1);
    await client.ask({ type: "ping", id: "after" });
    expect(client.all("message")).toEqual([]);
    expect((await join(client, "news")).offset).toBe(1);
  });

  test("cannot be one too many for a connection", async () => {
    await using server = await startServer({ env: { WS_BURST: "1000" } });
    using client = await openRawClient(server.url);
    for (let index = 0; index < 256; index++) await join(client, `room-${index}`);
    const refused = await client.ask({ type: "subscribe", id: "one more", room: "room-256" });
    expect(refused).toMatchObject({ type: "error", code: "limit_subscriptions" });
    await client.ask({ type: "unsubscribe", id: "u", sub: "r:room-0" });
    expect((await join(client, "room-256")).sub).toBe("r:room-256");
  });
});

describe("presence", () => {
  test("shows who is there on joining, when asked, and when somebody comes", async () => {
    await using server = await startServer();
    using first = await openRawClient(server.url);
    const one = (await first.next("welcome"))["session"];
    await join(first, "news", { presence: true });
    expect(await first.next("presence")).toMatchObject({ sub: "p:news", count: 1, members: [one] });
    using second = await openRawClient(server.url);
    const two = (await second.next("welcome"))["session"];
    await join(second, "news", { presence: true });
    const members = shaped(LIVE_FRAMES.presence, await second.next("presence")).members;
    expect(members?.toSorted()).toEqual([String(one), String(two)].toSorted());
    const told = await first.take(
      ({ type, joined }) => type === "presence" && Array.isArray(joined) && joined.includes(two),
    );
    expect(shaped(LIVE_FRAMES.presence, told)).toMatchObject({ count: 2, left: [] });
    using third = await openRawClient(server.url);
    await join(third, "news");
    const asked = await third.ask({ type: "presence", id: "who", room: "news" });
    expect(asked).toMatchObject({ type: "presence", room: "news", count: 2 });
    expect(third.all("presence")).toEqual([]);
  });

  test("is not told to who takes nothing, and who is there is told once it takes again", async () => {
    // Looked for every second, and cut off after six.
    const times = { WS_HEARTBEAT_INTERVAL: "1", WS_STALE_TIMEOUT: "12" };
    await using edge = await openEdge({ env: { ...FAST, ...times } });
    using stalled = await openRawClient(edge.url);
    const one = (await stalled.next("welcome"))["session"];
    await join(stalled, "news", { presence: true });
    // Its own coming is told to it too.
    await stalled.take((frame) => frame.type === "presence" && frame["joined"] !== undefined);
    using writer = await openRawClient(edge.url);
    for (let index = 1; index <= 600; index++)
      writer.send({ type: "publish", id: `p${index}`, room: "long", data: "x".repeat(30_000) });
    await writer.take((frame) => frame.id === "p600");
    stalled.pause();
    stalled.send({ type: "subscribe", id: "s", room: "long", history: 600 });
    await writer.until(() => edge.listeners("p:news") === 0);
    using other = await openRawClient(edge.url);
    const two = (await other.next("welcome"))["session"];
    await join(other, "news", { presence: true });
    await other.take((frame) => frame.type === "presence" && frame["joined"] !== undefined);
    stalled.resume();
    const told = await stalled.take((frame) => frame.type === "presence" && frame["count"] === 2);
    expect(shaped(LIVE_FRAMES.presence, told).members?.toSorted()).toEqual(
      [String(one), String(two)].toSorted(),
    );
    expect(edge.listeners("p:news")).toBe(2);
  });
});
