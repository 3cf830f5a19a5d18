import { expect, test } from "bun:test";
import { createClientIn } from "../../client/src/client.ts";
import { eventually } from "../support/process.ts";
import { handClock } from "./hand-clock.ts";
import { scriptedServer, WELCOME, type Frame } from "./scripted-server.ts";

const TS = "2026-01-01T00:00:00.000Z";

test("a publication whose answer was lost is sent again under the same key", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  const published = client.publish("news", { n: 1 });
  const first = await server.peer(0);
  const lost = await first.next("publish");
  first.close(1011);
  await eventually("it waits", () => (client.state === "reconnecting" ? true : undefined));
  clock.advance(250);
  const second = await server.peer(1);
  const again = await second.next("publish");
  expect(again).toEqual(lost);
  expect(again["key"]).toMatch(/^[0-9a-f]{32}$/);
  second.send({ type: "published", id: again["id"], offset: 4, ts: TS, duplicate: true });
  expect(await published).toEqual({ offset: 4, ts: TS, duplicate: true });
  client.close();
});

test("what is asked before there is a connection is sent in its order when there is one", async () => {
  using server = scriptedServer({ welcome: null });
  const client = createClientIn({ url: server.url }, handClock());
  const answers = [1, 2, 3].map((n) => client.publish("news", n, { key: `k${n}` }));
  const peer = await server.peer(0);
  expect(peer.frames).toEqual([]);
  peer.send(WELCOME);
  for (const n of [1, 2, 3]) {
    const { id, ...frame } = await peer.next("publish");
    expect(frame).toEqual({ type: "publish", room: "news", data: n, key: `k${n}` });
    peer.send({ type: "published", id, offset: n, ts: TS });
  }
  expect((await Promise.all(answers)).map(({ offset }) => offset)).toEqual([1, 2, 3]);
  client.close();
});

test("no more is sent than the server takes, and the rest follows at its rate", async () => {
  const limits = { frame_bytes: 65_536, subscriptions: 1, rate: 10, burst: 10 };
  using server = scriptedServer({ welcome: { ...WELCOME, limits } });
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  await client.connect();
  const peer = await server.peer(0);
  const answers = Array.from({ length: 20 }, (_, n) => client.publish("news", n));
  const arrived = (count: number) =>
    eventually(`${count} frames`, () => (peer.frames.length >= count ? true : undefined));
  await arrived(9);
  peer.send({ type: "ping" });
  await peer.next("pong");
  expect(peer.frames.length).toBe(10);
  clock.advance(1000);
  await arrived(19);
  clock.advance(1000);
  await arrived(21);
  client.close();
  expect((await Promise.allSettled(answers)).every(({ status }) => status === "rejected")).toBe(
    true,
  );
});

test("a refusal that will pass is waited out, another one is the answer", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  await client.connect();
  const peer = await server.peer(0);
  const published = client.publish("news", 1);
  const { id } = await peer.next("publish");
  peer.send({ type: "error", id, code: "rate_limited", message: "slower", retry_after_ms: 700 });
  peer.send({ type: "ping" });
  await peer.next("pong");
  clock.advance(699);
  expect(peer.frames.length).toBe(2);
  clock.advance(1);
  await peer.next("publish");
  peer.send({ type: "error", id, code: "forbidden", message: "not you" });
  expect(published).rejects.toMatchObject({ code: "forbidden", detail: "not you" });
  await published.catch(() => undefined);
  client.close();
});

test("a request that nobody answers ends in time, and one that was called off at once", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url, timeoutMs: 5000 }, clock);
  await client.connect();
  const late = client.history("news", { limit: 5 });
  clock.advance(5000);
  expect(late).rejects.toMatchObject({ code: "timeout" });
  const controller = new AbortController();
  const off = client.presence("news", { signal: controller.signal });
  controller.abort(new Error("never mind"));
  expect(off).rejects.toThrow("never mind");
  expect(client.presence("news", { signal: controller.signal })).rejects.toThrow("never mind");
  await Promise.allSettled([late, off]);
  client.close();
});

test("a frame larger than the server takes is refused here, and one that broke a connection is not repeated", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  await client.connect();
  expect(client.publish("news", "x".repeat(70_000))).rejects.toMatchObject({ code: "too_large" });
  expect(client.publish("news", "é".repeat(33_000))).rejects.toMatchObject({ code: "too_large" });
  const fits = client.publish("news", "x".repeat(30_000));
  const peer = await server.peer(0);
  await peer.next("publish");
  peer.close(1009);
  expect(fits).rejects.toMatchObject({ code: "too_large" });
  await fits.catch(() => undefined);
  client.close();
});

test("a caller that is faster than the server is told so", async () => {
  using server = scriptedServer({ welcome: null });
  const client = createClientIn({ url: server.url }, handClock());
  const calls = Array.from({ length: 1001 }, () => client.presence("news"));
  expect(calls.at(-1)).rejects.toMatchObject({ code: "too_many_requests_waiting" });
  client.close();
  await Promise.allSettled(calls);
});

test("subscriptions go on however many calls wait", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  const ended: unknown[] = [];
  client.subscribeRoom("news", { ended: (error) => ended.push(error) });
  const first = await server.peer(0);
  await first.takeSubscribe();
  first.close(1011);
  await eventually("it waits", () => (client.state === "reconnecting" ? true : undefined));
  const calls = Array.from({ length: 1000 }, () => client.presence("other"));
  clock.advance(250);
  const second = await server.peer(1);
  // At the server's rate, which heartbeats share.
  for (let sent = 0; sent < 1000; sent += 45) {
    second.send({ type: "ping" });
    await second.next("pong");
    clock.advance(1000);
  }
  expect(await second.takeSubscribe()).toMatchObject({ room: "news" });
  expect(ended).toEqual([]);
  client.close();
  await Promise.allSettled(calls);
});

function answer(id: unknown, part: string): Frame {
  return { type: "results", id, part, final: part === "final", hits: [], took_ms: 1 };
}

test("only the newest of what was typed is answered, over a reconnect too", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  const shown: string[] = [];
  const box = client.searchAsYouType({
    collection: "books",
    limit: 5,
    parts: true,
    results: ({ query, part }) => shown.push(`${query} ${part}`),
  });
  box.query("s");
  box.query("sl");
  const peer = await server.peer(0);
  const { id, ...frame } = await peer.next("search");
  expect(frame).toEqual({
    type: "search",
    collection: "books",
    limit: 5,
    parts: true,
    query: "sl",
    stream: "s1",
  });
  peer.send(answer(id, "keyword"));
  await eventually("the first part", () => (shown.length === 1 ? true : undefined));
  box.query("sli");
  const newest = await peer.next("search");
  peer.send(answer(id, "final"), { type: "cancelled", id, by: newest["id"] });
  peer.close(1011);
  await eventually("it waits", () => (client.state === "reconnecting" ? true : undefined));
  clock.advance(250);
  const second = await server.peer(1);
  const again = await second.next("search");
  expect(again["query"]).toBe("sli");
  second.send(answer(again["id"], "keyword"), answer(again["id"], "final"));
  await eventually("the answer", () => (shown.length === 3 ? true : undefined));
  expect(shown).toEqual(["sl keyword", "sli keyword", "sli final"]);
  box.query("slip");
  const typed = await second.next("search");
  box.clear();
  expect(await second.next("cancel")).toMatchObject({ target: typed["id"] });
  box.clear();
  client.close();
  expect(() => box.query("x")).toThrow("closed");
});

test("a search that is refused says so", async () => {
  using server = scriptedServer();
  const client = createClientIn({ url: server.url }, handClock());
  const codes: string[] = [];
  const box = client.searchAsYouType({
    collection: "none",
    results: () => undefined,
    failed: ({ code }) => codes.push(code),
  });
  box.query("x");
  const peer = await server.peer(0);
  const { id } = await peer.next("search");
  peer.send({ type: "error", id, code: "not_found", message: "No such collection." });
  await eventually("it is told", () => (codes.length > 0 ? true : undefined));
  expect(codes).toEqual(["not_found"]);
  client.close();
});
