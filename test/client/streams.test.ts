import { expect, test } from "bun:test";
import { createClientIn } from "../../client/src/client.ts";
import type { RoomEvent } from "../../client/src/events.ts";
import { eventually } from "../support/process.ts";
import { handClock } from "./hand-clock.ts";
import { message, scriptedServer, type Frame, type Peer } from "./scripted-server.ts";

/** A client in the room `news` of a scripted server, and what it told of it. */
async function reader(
  options: { history?: number; since?: { epoch: string; offset: number } } = {},
) {
  const server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  const told: string[] = [];
  const subscription = client.subscribeRoom("news", {
    ...options,
    message: ({ offset }) => told.push(`message ${offset}`),
    recovered: ({ replay }) => told.push(`recovered ${replay}`),
    gap: ({ reason, from, to }) => told.push(`gap ${reason} ${from}-${to}`),
    caughtUp: ({ offset }) => told.push(`caught up ${offset}`),
    ended: (error) => told.push(`ended ${error?.code ?? "here"}`),
  });
  const peer = await server.peer(0);
  return {
    server,
    clock,
    client,
    subscription,
    told,
    peer,
    /** Everything that was sent has been taken. */
    async settled(on: Peer = peer) {
      on.send({ type: "ping" });
      await on.next("pong");
      return told;
    },
    async reconnected(index: number, from: Peer = peer): Promise<Peer> {
      from.close(1011);
      await eventually("it waits", () => (client.state === "reconnecting" ? true : undefined));
      clock.advance(20_000);
      return server.peer(index);
    },
    [Symbol.dispose]() {
      client.close();
      server[Symbol.dispose]();
    },
  };
}

const caughtUp = (offset: number): Frame => ({ type: "caught_up", sub: "r:news", offset });

test("messages arrive once, in order, and a resume says from where", async () => {
  using made = await reader();
  expect(await made.peer.takeSubscribe({ offset: 2 })).toEqual({ type: "subscribe", room: "news" });
  made.peer.send(caughtUp(2), message(3), message(3), message(2), message(4));
  await made.settled();
  expect(made.subscription.position).toEqual({ epoch: "e1", offset: 4 });
  const second = await made.reconnected(1);
  const asked = await second.takeSubscribe({ offset: 6, recovered: true, replay: 2 });
  expect(asked).toEqual({ type: "subscribe", room: "news", since: { epoch: "e1", offset: 4 } });
  second.send(message(5), message(6), caughtUp(6), message(7));
  expect(await made.settled(second)).toEqual([
    "caught up 2",
    "message 3",
    "message 4",
    "recovered 2",
    "message 5",
    "message 6",
    "caught up 6",
    "message 7",
  ]);
});

test("what cannot be recovered is a gap with its reason, and reading goes on from the head", async () => {
  using made = await reader({ since: { epoch: "old", offset: 9 } });
  const asked = await made.peer.takeSubscribe({ offset: 5, reason: "epoch_changed" });
  expect(asked["since"]).toEqual({ epoch: "old", offset: 9 });
  made.peer.send(caughtUp(5), message(6));
  expect(await made.settled()).toEqual(["gap epoch_changed 9-5", "caught up 5", "message 6"]);
  expect(made.subscription.position).toEqual({ epoch: "e1", offset: 6 });
});

test("a hole is filled by a resume, and nothing after it is told before", async () => {
  using made = await reader();
  await made.peer.takeSubscribe({ offset: 1 });
  made.peer.send(message(2), message(4), message(5));
  const { id } = await made.peer.next("unsubscribe");
  made.peer.send(message(6), { type: "unsubscribed", id, sub: "r:news" });
  const asked = await made.peer.takeSubscribe({ offset: 6, recovered: true, replay: 4 });
  expect(asked["since"]).toEqual({ epoch: "e1", offset: 2 });
  made.peer.send(...[3, 4, 5, 6].map(message), caughtUp(6));
  expect(await made.settled()).toEqual([
    "message 2",
    "recovered 4",
    "message 3",
    "message 4",
    "message 5",
    "message 6",
    "caught up 6",
  ]);
});

test("a hole that a resume does not fill is told as a gap, once", async () => {
  using made = await reader();
  await made.peer.takeSubscribe({ offset: 1 });
  made.peer.send(message(3));
  const { id } = await made.peer.next("unsubscribe");
  made.peer.send({ type: "unsubscribed", id, sub: "r:news" });
  await made.peer.takeSubscribe({ offset: 3, recovered: true, replay: 2 });
  made.peer.send(message(3), caughtUp(3), message(4));
  expect(await made.settled()).toEqual([
    "recovered 2",
    "gap missing 1-2",
    "message 3",
    "caught up 3",
    "message 4",
  ]);
});

test("a replay whose end is missing is asked for again, then told as a gap", async () => {
  using made = await reader({ since: { epoch: "e1", offset: 1 } });
  await made.peer.takeSubscribe({ offset: 4, recovered: true, replay: 3 });
  made.peer.send(message(2), caughtUp(4));
  const { id } = await made.peer.next("unsubscribe");
  made.peer.send({ type: "unsubscribed", id, sub: "r:news" });
  const asked = await made.peer.takeSubscribe({ offset: 4, recovered: true, replay: 2 });
  expect(asked["since"]).toEqual({ epoch: "e1", offset: 2 });
  made.peer.send(caughtUp(4), message(5));
  expect((await made.settled()).slice(2)).toEqual([
    "recovered 2",
    "gap missing 2-4",
    "caught up 4",
    "message 5",
  ]);
});

test("history that was cut off before it began is asked for again", async () => {
  using made = await reader({ history: 3 });
  const asked = await made.peer.takeSubscribe({ offset: 9, replay: 3 });
  expect(asked["history"]).toBe(3);
  await made.settled();
  const second = await made.reconnected(1);
  expect((await second.takeSubscribe({ offset: 9, replay: 3 }))["history"]).toBe(3);
  second.send(message(7));
  await made.settled(second);
  const third = await made.reconnected(2, second);
  const resumed = await third.takeSubscribe({ offset: 9, recovered: true, replay: 2 });
  expect(resumed["since"]).toEqual({ epoch: "e1", offset: 7 });
});

test("a subscription that the server ends says why, and one that lost its place asks again", async () => {
  using made = await reader();
  await made.peer.takeSubscribe({ offset: 1 });
  made.peer.send({ type: "unsubscribed", sub: "r:news", code: "unrecoverable", message: "gone" });
  await made.settled();
  made.clock.advance(250);
  const again = await made.peer.takeSubscribe({ offset: 8, reason: "too_old" });
  expect(again["since"]).toEqual({ epoch: "e1", offset: 1 });
  made.peer.send({ type: "unsubscribed", sub: "r:news", code: "forbidden", message: "no" });
  expect(await made.settled()).toEqual(["gap too_old 1-8", "ended forbidden"]);
  expect(made.subscription.ready()).resolves.toMatchObject({ sub: "r:news" });
  const second = await made.reconnected(1);
  await made.settled(second);
  expect(second.frames.map(({ type }) => type)).toEqual(["pong"]);
});

test("a subscription that is refused rejects ready and ends its loops with the error", async () => {
  using made = await reader();
  const ready = made.subscription.ready();
  const loop = made.subscription[Symbol.asyncIterator]();
  const { id } = await made.peer.next("subscribe");
  made.peer.send({ type: "error", id, code: "invalid", message: "no such name" });
  expect(ready).rejects.toMatchObject({ code: "invalid" });
  expect(loop.next()).rejects.toMatchObject({ code: "invalid" });
  await Promise.allSettled([ready]);
  expect(made.subscription.ready()).rejects.toMatchObject({ code: "invalid" });
  expect(made.subscription[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: "invalid",
  });
});

test("a room closed and opened again in one breath is subscribed to once the server has let it go", async () => {
  using made = await reader();
  expect(() => made.client.subscribeRoom("news")).toThrow("already_subscribed");
  const { id } = await made.peer.next("subscribe");
  made.subscription.close();
  const again = made.client.subscribeRoom("news");
  expect(() => made.client.subscribeRoom("news")).toThrow("already_subscribed");
  made.peer.send({
    type: "subscribed",
    id,
    sub: "r:news",
    epoch: "e1",
    offset: 3,
    recovered: false,
  });
  const leaving = await made.peer.next("unsubscribe");
  expect(made.peer.frames.filter(({ type }) => type === "subscribe").length).toBe(1);
  made.peer.send({ type: "unsubscribed", id: leaving["id"], sub: "r:news" });
  await made.peer.takeSubscribe({ offset: 3 });
  expect((await again.ready()).sub).toBe("r:news");
  expect(made.told).toEqual(["ended here"]);
});

test("closing a live subscription tells the server and ends its loops", async () => {
  using made = await reader();
  await made.peer.takeSubscribe({ offset: 0 });
  await made.subscription.ready();
  const kinds: string[] = [];
  const loop = (async () => {
    for await (const { kind } of made.subscription) kinds.push(kind);
  })();
  made.peer.send(caughtUp(0), message(1));
  await made.settled();
  made.subscription.close();
  await loop;
  expect(kinds).toEqual(["caughtUp", "message"]);
  expect((await made.peer.next("unsubscribe"))["sub"]).toBe("r:news");
});

test("a slow loop makes the subscription step back, and loses nothing", async () => {
  using made = await reader();
  await made.peer.takeSubscribe({ offset: 0 });
  await made.subscription.ready();
  const loop = made.subscription[Symbol.asyncIterator]();
  made.peer.send(...Array.from({ length: 1100 }, (_, n) => message(n + 1)));
  const leaving = await made.peer.next("unsubscribe");
  expect(made.subscription.position).toEqual({ epoch: "e1", offset: 1024 });
  made.peer.send({ type: "unsubscribed", id: leaving["id"], sub: "r:news" });
  await made.settled();
  const read: (RoomEvent<unknown> | undefined)[] = [];
  for (let n = 0; n < 511; n++) read.push((await loop.next()).value);
  await made.settled();
  expect(made.peer.frames.filter(({ type }) => type === "subscribe").length).toBe(1);
  read.push((await loop.next()).value);
  const asked = await made.peer.takeSubscribe({ offset: 1100, recovered: true, replay: 76 });
  expect(asked["since"]).toEqual({ epoch: "e1", offset: 1024 });
  made.peer.send(...Array.from({ length: 76 }, (_, n) => message(n + 1025)));
  while (read.length < 1101) read.push((await loop.next()).value);
  const offsets = read.flatMap((event) => (event?.kind === "message" ? [event.offset] : []));
  expect(offsets).toEqual(Array.from({ length: 1100 }, (_, n) => n + 1));
});

test("presence of a room comes to its subscription", async () => {
  using made = await reader();
  const counts: number[] = [];
  made.client.subscribeRoom("hall", { presence: ({ count }) => counts.push(count) });
  await made.peer.takeSubscribe();
  expect(await made.peer.takeSubscribe()).toEqual({
    type: "subscribe",
    room: "hall",
    presence: true,
  });
  const presence = { type: "presence", sub: "p:hall", room: "hall", joined: ["a"], left: [] };
  made.peer.send({ ...presence, count: 2 }, { ...presence, count: 1, sub: "p:news" });
  await made.settled();
  expect(counts).toEqual([2]);
});

test("data that the parser throws at is told to the client and passed by", async () => {
  using server = scriptedServer();
  const codes: string[] = [];
  const client = createClientIn(
    { url: server.url, onError: ({ code }) => codes.push(code) },
    handClock(),
  );
  const numbers: number[] = [];
  client.subscribeRoom("news", {
    parse(data) {
      if (typeof data !== "number" || data === 2) throw new Error("not this one");
      return data * 10;
    },
    message: ({ data }) => numbers.push(data),
  });
  const peer = await server.peer(0);
  await peer.takeSubscribe({ offset: 0 });
  peer.send(message(1), message(2), message(3), { type: "ping" });
  await peer.next("pong");
  expect(numbers).toEqual([10, 30]);
  expect(codes).toEqual(["parse_failed"]);
  client.close();
});

function match(offset: number, doc: string, more: Frame = {}): Frame {
  const plain = { sub: "q:1", offset, doc, version: offset, event: "insert", score: 0.5 };
  return { type: "match", ...plain, ...more };
}

test("matches come once for each change of a document, and progress moves the position", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  const told: string[] = [];
  const query = { text: "storm", collection: "notes", mode: "semantic", min_score: 0.4 } as const;
  const subscription = client.subscribeQuery(query, {
    match: ({ doc, version, event, data }) =>
      told.push(`${doc} ${version} ${event} ${JSON.stringify(data)}`),
    recovered: () => told.push("recovered"),
  });
  expect(() => client.subscribeQuery(query)).toThrow("already_subscribed");
  const first = await server.peer(0);
  const asked = await first.takeSubscribe({
    sub: "q:1",
    offset: 10,
    min_score: 0.4,
    model: "static-256",
  });
  expect(asked).toEqual({ type: "subscribe", query });
  expect(await subscription.ready()).toEqual({
    sub: "q:1",
    recovered: false,
    minScore: 0.4,
    model: "static-256",
  });
  first.send(match(12, "a", { data: { title: "A" } }), match(12, "a"));
  first.send({ type: "progress", sub: "q:1", offset: 40 }, { type: "ping" });
  await first.next("pong");
  expect(subscription.position).toEqual({ epoch: "e1", offset: 40 });
  first.close(4001);
  await eventually("it waits", () => (client.state === "reconnecting" ? true : undefined));
  clock.advance(250);
  const second = await server.peer(1);
  const again = await second.takeSubscribe({
    sub: "q:1",
    offset: 50,
    recovered: true,
    replay: 10,
  });
  expect(again["since"]).toEqual({ epoch: "e1", offset: 40 });
  second.send(match(12, "a", { event: "update" }), match(44, "b", { event: "leave" }));
  second.send({ type: "ping" });
  await second.next("pong");
  expect(told).toEqual(['a 12 insert {"title":"A"}', "recovered", "b 44 leave {}"]);
  client.close();
});

test("matches of a database that was restored are told though their offsets were there before", async () => {
  using server = scriptedServer();
  const clock = handClock();
  const client = createClientIn({ url: server.url }, clock);
  const told: string[] = [];
  client.subscribeQuery(
    { text: "storm", collection: "notes", mode: "keyword" },
    {
      match: ({ doc, version }) => told.push(`${doc} ${version}`),
      gap: ({ reason }) => told.push(reason),
    },
  );
  const first = await server.peer(0);
  await first.takeSubscribe({ sub: "q:1", offset: 10 });
  first.send(match(11, "a"), match(12, "a"));
  first.close(1001);
  await eventually("it waits", () => (client.state === "reconnecting" ? true : undefined));
  clock.advance(250);
  const second = await server.peer(1);
  await second.takeSubscribe({ sub: "q:1", epoch: "e2", offset: 11, reason: "epoch_changed" });
  second.send(match(12, "a"), { type: "ping" });
  await second.next("pong");
  expect(told).toEqual(["a 11", "a 12", "epoch_changed", "a 12"]);
  client.close();
});
