import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { expectNothingOfOurs, expectProblem } from "../http/answers.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { openRawClient, OPCODES, shakeHands, type RawClient } from "./raw-client.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

interface BadFrame {
  write: (client: RawClient) => void;
  want: string;
}

/** What a client sees: how it was closed, or which error it was sent while the connection stays. */
async function outcome(write: (client: RawClient) => void): Promise<string> {
  using client = await openRawClient(server.url);
  await client.next("welcome");
  write(client);
  const error = client.next("error").then(
    ({ code = "", id }) => (id === undefined ? code : `${code} of ${id}`),
    () => "",
  );
  const ended = client.ended.then(({ code }) => (code === undefined ? "cut" : `closed ${code}`));
  const first = await Promise.race([error, ended]);
  return first === "" ? ended : first;
}

const text = (payload: string) => (client: RawClient) => client.frame(payload);
const json = (value: unknown) => text(JSON.stringify(value));

describe("a handshake", () => {
  const cases: Readonly<
    Record<string, { headers?: Record<string, string>; path?: string; status: string }>
  > = {
    "that is good": { status: "101" },
    "to a short host name": { headers: { Host: "api" }, status: "101" },
    "that offers our protocol": {
      headers: { "Sec-WebSocket-Protocol": "slipstream.v1" },
      status: "101",
    },
    "that offers only another protocol": {
      headers: { "Sec-WebSocket-Protocol": "secret" },
      status: "400",
    },
    "that offers something before our protocol, which would be sent back": {
      headers: { "Sec-WebSocket-Protocol": "secret, slipstream.v1" },
      status: "400",
    },
    "without Upgrade": { headers: { Upgrade: "" }, status: "426" },
    "to upgrade to something else": { headers: { Upgrade: "h2c" }, status: "426" },
    "of another version": { headers: { "Sec-WebSocket-Version": "8" }, status: "426" },
    "with a key that is too short": { headers: { "Sec-WebSocket-Key": "AAAA" }, status: "400" },
    "without a key": { headers: { "Sec-WebSocket-Key": "" }, status: "400" },
    "at an address that is none": { path: "/live/", status: "404" },
  };
  for (const [name, { status, ...options }] of Object.entries(cases)) {
    test(`${name} is answered with ${status}`, async () => {
      const { socket, head } = await shakeHands(server.url, options);
      socket.destroy();
      expect(head.split(" ")[1]).toBe(status);
    });
  }
});

/** Frames that are none of RFC 6455, or not for us. */
const frames: Readonly<Record<string, BadFrame>> = {
  "an unmasked text": { write: (c) => c.frame("{}", { masked: false }), want: "closed 1002" },
  "reserved bit 1": { write: (c) => c.frame("{}", { reserved: 4 }), want: "closed 1002" },
  "reserved bit 2": { write: (c) => c.frame("{}", { reserved: 2 }), want: "closed 1002" },
  "reserved bit 3": { write: (c) => c.frame("{}", { reserved: 1 }), want: "closed 1002" },
  "opcode 3": { write: (c) => c.frame("{}", { opcode: 3 }), want: "closed 1002" },
  "opcode 7": { write: (c) => c.frame("{}", { opcode: 7 }), want: "closed 1002" },
  "opcode 11": { write: (c) => c.frame("{}", { opcode: 11 }), want: "closed 1002" },
  "opcode 15": { write: (c) => c.frame("{}", { opcode: 15 }), want: "closed 1002" },
  "a ping in pieces": {
    write: (c) => c.frame("a", { opcode: OPCODES.ping, final: false }),
    want: "closed 1002",
  },
  "a close in pieces": {
    write: (c) => c.frame("", { opcode: OPCODES.close, final: false }),
    want: "closed 1002",
  },
  "a ping of 126 bytes": {
    write: (c) => c.frame("a".repeat(126), { opcode: OPCODES.ping }),
    want: "closed 1002",
  },
  "a pong of 70,000 bytes": {
    write: (c) => c.frame("a".repeat(70_000), { opcode: OPCODES.pong }),
    want: "closed 1002",
  },
  "a close of one byte": {
    write: (c) => c.frame("a", { opcode: OPCODES.close }),
    want: "closed 1002",
  },
  "a close with code 1005": {
    write: (c) => c.frame(Buffer.from([0x03, 0xed]), { opcode: OPCODES.close }),
    want: "closed 1002",
  },
  "a close with code 0": {
    write: (c) => c.frame(Buffer.from([0, 0]), { opcode: OPCODES.close }),
    want: "closed 1002",
  },
  "a close with code 1000": {
    write: (c) => c.frame(Buffer.from([0x03, 0xe8]), { opcode: OPCODES.close }),
    want: "closed 1000",
  },
  "a close with a reason that is no UTF-8": {
    write: (c) => c.frame(Buffer.from([0x03, 0xe8, 0xff]), { opcode: OPCODES.close }),
    want: "closed 1007",
  },
  "an empty close": { write: (c) => c.frame("", { opcode: OPCODES.close }), want: "closed 1005" },
  "a continuation of nothing": {
    write: (c) => c.frame("{}", { opcode: OPCODES.continuation }),
    want: "closed 1002",
  },
  "a text within a text": {
    write: (c) => {
      c.frame('{"a"', { final: false });
      c.frame("{}");
    },
    want: "closed 1002",
  },
  "a length of 2^63": { write: (c) => c.frame("", { length: 2n ** 63n }), want: "closed 1009" },
  "a length of 2^62": { write: (c) => c.frame("", { length: 2n ** 62n }), want: "closed 1009" },
  "text that is no UTF-8": {
    write: (c) => c.frame(Buffer.from([0x7b, 0xff, 0x7d])),
    want: "closed 1007",
  },
  "an overlong encoding": {
    write: (c) => c.frame(Buffer.from([0x22, 0xc0, 0xaf, 0x22])),
    want: "closed 1007",
  },
  "an encoded surrogate": {
    write: (c) => c.frame(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])),
    want: "closed 1007",
  },
  "UTF-8 cut off in the middle": {
    write: (c) => c.frame(Buffer.from([0x22, 0xe2, 0x82])),
    want: "closed 1007",
  },
  "65,537 bytes": { write: (c) => c.frame("a".repeat(65_537)), want: "closed 1009" },
  "65,536 bytes that are no JSON": { write: (c) => c.frame("a".repeat(65_536)), want: "bad_frame" },
  "65,537 bytes in pieces": {
    write: (c) => {
      c.frame("a".repeat(40_000), { final: false });
      c.frame("a".repeat(25_537), { opcode: OPCODES.continuation });
    },
    want: "closed 1009",
  },
  "a binary frame": {
    write: (c) => c.frame(Buffer.from([1, 2, 3]), { opcode: OPCODES.binary }),
    want: "closed 1003",
  },
  "an empty binary frame": {
    write: (c) => c.frame("", { opcode: OPCODES.binary }),
    want: "closed 1003",
  },
  "HTTP in the middle": {
    write: (c) => c.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    want: "closed 1002",
  },
  "random bytes": {
    write: (c) => c.write(Buffer.from("f3a9b2c1d4e5f60718293a4b5c6d7e8f", "hex")),
    want: "closed 1002",
  },
};

/** Text that is no request: the connection stays. */
const requests: Readonly<Record<string, BadFrame>> = {
  "an empty text": { write: text(""), want: "bad_frame" },
  "broken JSON": { write: text('{"type":"ping"'), want: "bad_frame" },
  "two JSON texts": { write: text("{}{}"), want: "bad_frame" },
  "a number": { write: json(42), want: "bad_frame" },
  "a text in quotes": { write: json("ping"), want: "bad_frame" },
  null: { write: json(null), want: "bad_frame" },
  true: { write: json(true), want: "bad_frame" },
  "a list": { write: json([{ type: "ping" }]), want: "bad_frame" },
  "an empty object": { write: json({}), want: "bad_frame" },
  "a type that is no text": { write: json({ type: 1, id: "a" }), want: "bad_frame of a" },
  "a type that is null": { write: json({ type: null, id: "a" }), want: "bad_frame of a" },
  "an unknown type": { write: json({ type: "explode", id: "a" }), want: "unknown_type of a" },
  "the type constructor": {
    write: json({ type: "constructor", id: "a" }),
    want: "unknown_type of a",
  },
  "the type __proto__": { write: json({ type: "__proto__", id: "a" }), want: "unknown_type of a" },
  "the type toString": { write: json({ type: "toString", id: "a" }), want: "unknown_type of a" },
  "a frame of the server": { write: json({ type: "welcome", id: "a" }), want: "unknown_type of a" },
  "an id of 65 characters": {
    write: json({ type: "presence", room: "a", id: "i".repeat(65) }),
    want: "bad_frame",
  },
  "an id of 60,000 characters": {
    write: json({ type: "ping", id: "i".repeat(60_000) }),
    want: "bad_frame",
  },
  "an id that is a number": {
    write: json({ type: "publish", id: 7, room: "a", data: 1 }),
    want: "bad_frame",
  },
  "an id that is null": { write: json({ type: "ping", id: null }), want: "bad_frame" },
  "an id that is an object": { write: json({ type: "ping", id: {} }), want: "bad_frame" },
  "an empty id": { write: json({ type: "ping", id: "" }), want: "invalid of " },
  "a request without an id": {
    write: json({ type: "publish", room: "a", data: 1 }),
    want: "invalid",
  },
  "lists 33 deep": {
    write: text(`{"type":"publish","id":"a","room":"a","data":${"[".repeat(33)}${"]".repeat(33)}}`),
    want: "bad_frame",
  },
  "lists 30,000 deep": {
    write: text(
      `{"type":"publish","id":"a","room":"a","data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
    ),
    want: "bad_frame",
  },
  "30,000 brackets that never close": { write: text("[".repeat(30_000)), want: "bad_frame" },
  "a publication without data": {
    write: json({ type: "publish", id: "a", room: "a" }),
    want: "invalid of a",
  },
  "a publication without a room": {
    write: json({ type: "publish", id: "a", data: 1 }),
    want: "invalid of a",
  },
  "a room that is a number": {
    write: json({ type: "publish", id: "a", room: 1, data: 1 }),
    want: "invalid of a",
  },
  "a room with a slash": {
    write: json({ type: "publish", id: "a", room: "a/b", data: 1 }),
    want: "invalid of a",
  },
  "a room with a line end": {
    write: json({ type: "publish", id: "a", room: "a\n", data: 1 }),
    want: "invalid of a",
  },
  "an empty room": { write: json({ type: "subscribe", id: "a", room: "" }), want: "invalid of a" },
  "a room of 129 characters": {
    write: json({ type: "subscribe", id: "a", room: "a".repeat(129) }),
    want: "invalid of a",
  },
  "data of 40,000 bytes": {
    write: json({ type: "publish", id: "a", room: "a", data: "a".repeat(40_000) }),
    want: "too_large of a",
  },
  "an empty key": {
    write: json({ type: "publish", id: "a", room: "a", data: 1, key: "" }),
    want: "invalid of a",
  },
  "a subscription to nothing": {
    write: json({ type: "subscribe", id: "a" }),
    want: "invalid of a",
  },
  "a subscription to a room and a query": {
    write: json({
      type: "subscribe",
      id: "a",
      room: "a",
      query: { text: "a", collection: "c", mode: "keyword" },
    }),
    want: "invalid of a",
  },
  "since together with history": {
    write: json({
      type: "subscribe",
      id: "a",
      room: "a",
      history: 1,
      since: { epoch: "e", offset: 1 },
    }),
    want: "invalid of a",
  },
  "since without an epoch": {
    write: json({ type: "subscribe", id: "a", room: "a", since: { offset: 1 } }),
    want: "invalid of a",
  },
  "a negative offset": {
    write: json({ type: "subscribe", id: "a", room: "a", since: { epoch: "e", offset: -1 } }),
    want: "invalid of a",
  },
  "an offset of 1.5": {
    write: json({ type: "subscribe", id: "a", room: "a", since: { epoch: "e", offset: 1.5 } }),
    want: "invalid of a",
  },
  "an offset of 1e300": {
    write: text('{"type":"subscribe","id":"a","room":"a","since":{"epoch":"e","offset":1e300}}'),
    want: "invalid of a",
  },
  "presence of a query": {
    write: json({
      type: "subscribe",
      id: "a",
      presence: true,
      query: { text: "a", collection: "c", mode: "keyword" },
    }),
    want: "invalid of a",
  },
  "a query of an unknown mode": {
    write: json({
      type: "subscribe",
      id: "a",
      query: { text: "a", collection: "c", mode: "magic" },
    }),
    want: "invalid of a",
  },
  "an end of no subscription": {
    write: json({ type: "unsubscribe", id: "a", sub: "r:none" }),
    want: "not_found of a",
  },
  "301 messages of history": {
    write: json({ type: "history", id: "a", room: "a", limit: 301 }),
    want: "invalid of a",
  },
  "history before and after": {
    write: json({ type: "history", id: "a", room: "a", before: 1, after: 1 }),
    want: "invalid of a",
  },
  "a search without a collection": {
    write: json({ type: "search", id: "a", query: "a" }),
    want: "invalid of a",
  },
  "a search of no collection": {
    write: json({ type: "search", id: "a", query: "a", collection: "none" }),
    want: "not_found of a",
  },
  "a search for 101 hits": {
    write: json({ type: "search", id: "a", query: "a", collection: "c", limit: 101 }),
    want: "invalid of a",
  },
  "a filter that is a list": {
    write: json({ type: "search", id: "a", query: "a", collection: "c", filter: [] }),
    want: "invalid of a",
  },
  "a cancel of nothing": {
    write: json({ type: "cancel", id: "a", target: "b" }),
    want: "not_found of a",
  },
  "a ping with a time that is text": {
    write: json({ type: "ping", id: "a", t: "now" }),
    want: "invalid of a",
  },
  "an auth without a token": { write: json({ type: "auth", id: "a" }), want: "invalid of a" },
};

/** All cases at once, so that a failure names every wrong one. */
async function expectOutcomes(cases: Readonly<Record<string, BadFrame>>): Promise<void> {
  const wanted: Record<string, string> = {};
  const got: Record<string, string> = {};
  for (const [name, { write, want }] of Object.entries(cases)) {
    wanted[name] = want;
    got[name] = await outcome(write);
  }
  expect(got).toEqual(wanted);
}

test("what is no handshake is told which one is wanted", async () => {
  const answer = await server.call("GET /live");
  expectProblem(answer, 426, "upgrade_required");
  expect(answer.headers.get("upgrade")).toBe("websocket");
});

describe("after any bad frame", () => {
  test("the close code says which rule of the protocol it broke", () => expectOutcomes(frames));

  test("an error names what is wrong, and the connection stays", async () => {
    await expectOutcomes(requests);
    using client = await openRawClient(server.url);
    for (const { write } of Object.values(requests).slice(-8)) write(client);
    expect(await client.ask({ type: "ping", id: "still" })).toMatchObject({ type: "pong" });
  });

  test("no error shows what was sent, or anything of ours", async () => {
    using client = await openRawClient(server.url);
    client.send({ type: "publish", id: "a", room: "secret/room", data: "secret-data" });
    client.send({
      type: "subscribe",
      id: "b",
      room: "a",
      since: { epoch: "secret", offset: "secret" },
    });
    for (const id of ["a", "b"]) {
      const error = await client.take((frame) => frame.id === id);
      expectNothingOfOurs(JSON.stringify(error));
      expect(JSON.stringify(error)).not.toContain("secret");
      expect(error).toMatchObject({ code: "invalid", errors: [{ field: expect.any(String) }] });
    }
  });

  test("the server takes new connections and serves them", async () => {
    expect(Object.keys(frames).length + Object.keys(requests).length).toBeGreaterThanOrEqual(60);
    using client = await openRawClient(server.url);
    client.frame('{"type":"publish","id":"p",', { final: false });
    client.frame("", { opcode: OPCODES.ping });
    client.frame('"room":"calm","data":"in pieces"}', { opcode: OPCODES.continuation });
    expect(await client.next("published")).toMatchObject({ id: "p", offset: 1 });
    expect(await server.log()).toBe("");
    expect(server.live.failures).toBe(0);
  });
});
