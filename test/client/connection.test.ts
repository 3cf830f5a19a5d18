import { expect, test } from "bun:test";
import { join } from "node:path";
import { createClientIn, type ClientOptions } from "../../client/src/client.ts";
import type { TokenReason } from "../../client/src/connection.ts";
import type { Environment } from "../../client/src/environment.ts";
import { eventually } from "../support/process.ts";
import { handClock } from "./hand-clock.ts";
import { message, scriptedServer, WELCOME } from "./scripted-server.ts";

/** A client that is closed at the end of its test, with what it said of its states and its errors. */
function clientOf(options: ClientOptions, environment: Environment) {
  const states: string[] = [];
  const errors: string[] = [];
  const client = createClientIn(
    {
      ...options,
      onState: (state) => states.push(state),
      onError: ({ code }) => errors.push(code),
    },
    environment,
  );
  const reached = (state: string) =>
    eventually(`state ${state}`, () => (client.state === state ? true : undefined), { everyMs: 1 });
  return { client, states, errors, reached, [Symbol.dispose]: () => client.close() };
}

test("a client connects at its first use, and says which state it is in", async () => {
  using server = scriptedServer();
  using made = clientOf({ url: server.url }, handClock());
  expect(made.client.state).toBe("closed");
  await made.client.connect();
  await made.client.connect();
  expect(made.client.state).toBe("connected");
  made.client.close();
  expect(made.states).toEqual(["connecting", "connected", "closed"]);
  const peer = await server.peer(0);
  await eventually("the server sees it", () => (peer.closed ? true : undefined));
  expect(server.peers.length).toBe(1);
});

test("a ping is answered with a pong", async () => {
  using server = scriptedServer();
  using made = clientOf({ url: server.url }, handClock());
  await made.client.connect();
  const peer = await server.peer(0);
  peer.send({ type: "ping" });
  expect(await peer.next("pong")).toEqual({ type: "pong" });
});

test("a server that is not there is tried again at growing waits, and connect resolves when it is", async () => {
  const gone = scriptedServer();
  const { url } = gone;
  gone[Symbol.dispose]();
  const clock = handClock();
  using made = clientOf({ url }, clock);
  const connected = made.client.connect();
  for (const waitMs of [250, 500, 1000]) {
    await eventually("it waits", () => (clock.due()[0] === waitMs ? true : undefined));
    expect(made.client.state).toBe("reconnecting");
    clock.advance(waitMs);
  }
  made.client.close();
  expect(connected).rejects.toThrow("closed");
});

test("a lost connection comes back by itself as the same session", async () => {
  using server = scriptedServer();
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  await made.client.connect();
  (await server.peer(0)).close(1011);
  await made.reached("reconnecting");
  expect(clock.due()).toEqual([250]);
  clock.advance(250);
  await made.reached("connected");
  const sessions = server.peers.map(({ session }) => session);
  expect(sessions[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(sessions[1]).toBe(sessions[0] ?? "");
});

test("ten seconds of connection make the next wait short again, fewer do not", async () => {
  using server = scriptedServer();
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  await made.client.connect();
  const waits: (number | undefined)[] = [];
  for (const [index, upMs] of [0, 9999, 10_000].entries()) {
    await made.reached("connected");
    clock.advance(upMs);
    (await server.peer(index)).close(4000);
    await made.reached("reconnecting");
    waits.push(clock.due()[0]);
    clock.advance(waits.at(-1) ?? 0);
  }
  expect(waits).toEqual([250, 500, 250]);
});

test("a final code closes the client, and connect opens it again", async () => {
  using server = scriptedServer();
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  await made.client.connect();
  (await server.peer(0)).close(4504);
  await made.reached("closed");
  expect(clock.due()).toEqual([]);
  expect(made.client.publish("news", 1)).rejects.toThrow("closed");
  await made.client.connect();
  expect(made.client.state).toBe("connected");
});

test("nothing heard for 25 s is a lost connection, and any frame counts", async () => {
  using server = scriptedServer();
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  await made.client.connect();
  const peer = await server.peer(0);
  clock.advance(24_000);
  peer.send({ type: "ping" });
  await peer.next("pong");
  clock.advance(24_999);
  expect(made.client.state).toBe("connected");
  clock.advance(1);
  expect(made.client.state).toBe("reconnecting");
  clock.advance(250);
  await made.reached("connected");
  expect(server.peers.length).toBe(2);
});

test("a longer heartbeat of the server's gives it more time", async () => {
  const heartbeat = { interval_ms: 30_000, stale_ms: 60_000 };
  using server = scriptedServer({ welcome: { ...WELCOME, heartbeat } });
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  await made.client.connect();
  clock.advance(39_999);
  expect(made.client.state).toBe("connected");
  clock.advance(1);
  expect(made.client.state).toBe("reconnecting");
});

test("a server that does not welcome within ten seconds is given up", async () => {
  using server = scriptedServer({ welcome: null });
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  const connected = made.client.connect();
  await server.peer(0);
  clock.advance(9999);
  expect(made.client.state).toBe("connecting");
  clock.advance(1);
  expect(made.client.state).toBe("reconnecting");
  clock.advance(250);
  (await server.peer(1)).send(WELCOME);
  await connected;
});

test("after draining the first try is when the server asked for it", async () => {
  using server = scriptedServer();
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  await made.client.connect();
  const peer = await server.peer(0);
  peer.send({ type: "draining", reconnect_after_ms: 3210, deadline_ms: 30_000 });
  peer.close(1001);
  await made.reached("reconnecting");
  expect(clock.due()).toEqual([3210]);
});

test("a network or a page that comes back shortens a wait, but not one that was demanded", async () => {
  using server = scriptedServer();
  const clock = handClock();
  using made = clientOf({ url: server.url }, clock);
  await made.client.connect();
  (await server.peer(0)).close(4000);
  await made.reached("reconnecting");
  clock.wake();
  await made.reached("connected");
  (await server.peer(1)).close(4003);
  await made.reached("reconnecting");
  clock.wake();
  expect(clock.due()).toEqual([30_500]);
});

test("a page that slept finds out at once that its connection is dead", async () => {
  using server = scriptedServer();
  const clock = handClock();
  using made = clientOf({ url: server.url }, { ...clock, after: () => () => undefined });
  await made.client.connect();
  clock.wake();
  expect(made.client.state).toBe("connected");
  clock.advance(25_000);
  clock.wake();
  expect(made.client.state).toBe("reconnecting");
});

const GUARDED = { ...WELCOME, auth: "required" };

test("a token is shown when asked for, and renewed before it runs out", async () => {
  using server = scriptedServer({ welcome: GUARDED });
  const clock = handClock();
  const asked: TokenReason[] = [];
  const token = (reason: TokenReason) => {
    asked.push(reason);
    return `t${asked.length}`;
  };
  using made = clientOf({ url: server.url, token }, clock);
  const connected = made.client.connect();
  const peer = await server.peer(0);
  expect(await peer.next("auth")).toMatchObject({ token: "t1" });
  expect(made.client.state).toBe("connecting");
  peer.send({ type: "authed", expires_at: "2026-01-01T00:00:20.000Z" });
  await connected;
  clock.advance(16_000);
  expect(await peer.next("auth")).toMatchObject({ token: "t2" });
  peer.send({ type: "authed", expires_at: null });
  expect(asked).toEqual(["connect", "refresh"]);
});

test("an expired token is asked for anew before the next connection shows one", async () => {
  using server = scriptedServer({ welcome: GUARDED });
  const clock = handClock();
  const asked: TokenReason[] = [];
  const token = async (reason: TokenReason) => {
    asked.push(reason);
    return `t${asked.length}`;
  };
  using made = clientOf({ url: server.url, token }, clock);
  const connected = made.client.connect();
  const first = await server.peer(0);
  await first.next("auth");
  first.send({ type: "authed", expires_at: null });
  await connected;
  first.close(4002);
  await made.reached("reconnecting");
  clock.advance(250);
  expect(await (await server.peer(1)).next("auth")).toMatchObject({ token: "t2" });
  expect(asked).toEqual(["connect", "expired"]);
});

test("a token that cannot be had is told, and tried again later", async () => {
  using server = scriptedServer({ welcome: GUARDED });
  const clock = handClock();
  let tries = 0;
  const token = () => {
    if (tries++ === 0) throw new Error("the sign-in service is away");
    return "good";
  };
  using made = clientOf({ url: server.url, token }, clock);
  const connected = made.client.connect();
  await made.reached("reconnecting");
  expect(made.errors).toEqual(["unauthenticated"]);
  clock.advance(250);
  const peer = await server.peer(1);
  expect(await peer.next("auth")).toMatchObject({ token: "good" });
  peer.send({ type: "authed" });
  await connected;
});

test("a server that asks for a token where there is none ends it", async () => {
  using server = scriptedServer({ welcome: GUARDED });
  using made = clientOf({ url: server.url }, handClock());
  expect(made.client.connect()).rejects.toThrow("4501");
  await made.reached("closed");
});

test("an error that answers no request is told to the client", async () => {
  using server = scriptedServer();
  using made = clientOf({ url: server.url }, handClock());
  await made.client.connect();
  (await server.peer(0)).send({ type: "error", code: "bad_frame", message: "What was that?" });
  await eventually("it is told", () => (made.errors.length > 0 ? true : undefined));
  expect(made.errors).toEqual(["bad_frame"]);
});

test("a url that is none is refused where it is given", () => {
  expect(() => createClientIn({ url: "nowhere" }, handClock())).toThrow();
});

/** Every handler throws, as a page's may; a program of its own, since a test runner fails with what nobody catches. */
const THROWING_PROGRAM = `
import { createClient } from ${JSON.stringify(join(import.meta.dir, "../../client/src/client.ts"))};
process.on("uncaughtException", ({ message }) => console.log("uncaught " + message));
const fail = (what) => { throw new Error(what); };
const client = createClient({ url: process.argv.at(-1), onState: fail, onError: ({ code }) => fail(code) });
const message = ({ offset }) => fail("message " + offset);
client.subscribeRoom("news", { message, ended: () => fail("news ended") });
client.subscribeRoom("other", { ended: () => fail("other ended") });
`;

test("handlers that throw stop nothing", async () => {
  using server = scriptedServer();
  const child = Bun.spawn([process.execPath, "-e", THROWING_PROGRAM, server.url], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const peer = await server.peer(0);
  await peer.takeSubscribe();
  await peer.takeSubscribe();
  peer.send(message(1), message(2), { type: "error", code: "internal", message: "No." });
  peer.close(4503);
  const lines = (await child.stdout.text()).trim().split("\n");
  expect(lines.map((line) => line.replace(/^uncaught /, ""))).toEqual([
    "connecting",
    "connected",
    "message 1",
    "message 2",
    "internal",
    "closed",
    "news ended",
    "other ended",
  ]);
});
