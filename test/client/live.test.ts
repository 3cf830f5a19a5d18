import { expect, test } from "bun:test";
import { join } from "node:path";
import { createClient, type Client, type ClientOptions } from "../../client/src/client.ts";
import { eventually } from "../support/process.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

/** A client that is closed at the end of its test. */
function open(url: string, options: Partial<ClientOptions> = {}): Client & Disposable {
  const client = createClient({ url, ...options });
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

test("a message reaches who is in the room, once, and says who sent it", async () => {
  await using server = await startServer();
  using reader = open(server.url);
  using writer = open(server.url);
  const got: unknown[] = [];
  const subscription = reader.subscribeRoom("news", { message: ({ data }) => got.push(data) });
  await subscription.ready();
  const { offset, ts } = await writer.publish("news", { n: 1 });
  expect(offset).toBe(1);
  expect(Date.parse(ts)).toBeGreaterThan(0);
  await writer.publish("elsewhere", { n: 2 });
  await writer.publish("news", { n: 3 });
  await eventually("both", () => (got.length >= 2 ? true : undefined));
  expect(got).toEqual([{ n: 1 }, { n: 3 }]);
  expect(subscription.position?.offset).toBe(2);
});

test("clients of one address whose handshakes are too many for RATE_LIMIT wait, and all come in", async () => {
  const env = { RATE_LIMIT: "20", RATE_BURST: "2" };
  await using server = await startServer({ env });
  using stack = new DisposableStack();
  const waited = new Set<Client>();
  const clients = Array.from({ length: 8 }, () => {
    const client: Client = stack.use(
      open(server.url, {
        onState: (state) => void (state === "reconnecting" && waited.add(client)),
      }),
    );
    return client;
  });
  await Promise.all(clients.map((client) => client.connect()));
  expect(clients.map(({ state }) => state)).toEqual(clients.map(() => "connected"));
  expect(waited.size).toBeGreaterThanOrEqual(4);
});

test("a key makes a repeated publication one", async () => {
  await using server = await startServer();
  using client = open(server.url);
  const first = await client.publish("news", 1, { key: "k" });
  const again = await client.publish("news", 1, { key: "k" });
  expect(again).toEqual({ ...first, duplicate: true });
  expect((await client.history("news")).items.length).toBe(1);
});

test("history comes page by page, and a subscription may begin with the last of it", async () => {
  await using server = await startServer();
  using client = open(server.url);
  for (const n of [1, 2, 3, 4, 5]) await client.publish("news", n);
  const page = await client.history("news", { after: 1, limit: 2 });
  expect(page.items.map(({ data }) => data)).toEqual([2, 3]);
  expect(page.more).toBe(true);
  const offsets: number[] = [];
  for await (const event of client.subscribeRoom("news", { history: 2 })) {
    if (event.kind === "message") offsets.push(event.offset);
    if (event.kind === "caughtUp") break;
  }
  expect(offsets).toEqual([4, 5]);
});

test("another day's reader goes on from its position", async () => {
  await using server = await startServer();
  using client = open(server.url);
  await client.publish("news", 1);
  const subscription = client.subscribeRoom("news");
  await subscription.ready();
  const since = subscription.position;
  subscription.close();
  await client.publish("news", 2);
  await client.publish("news", 3);
  const events: unknown[] = [];
  for await (const event of client.subscribeRoom("news", since === undefined ? {} : { since })) {
    events.push(event.kind === "message" ? event.data : event.kind);
    if (event.kind === "caughtUp") break;
  }
  expect(events).toEqual(["recovered", 2, 3, "caughtUp"]);
});

test("presence counts who is in a room, here and when asked", async () => {
  await using server = await startServer();
  using one = open(server.url);
  using two = open(server.url);
  const counts: number[] = [];
  await one.subscribeRoom("hall", { presence: ({ count }) => counts.push(count) }).ready();
  await two.subscribeRoom("hall", { withPresence: true }).ready();
  const seen = await two.presence("hall");
  expect(seen).toMatchObject({ room: "hall", count: 2 });
  expect(seen.members.length).toBe(2);
  await eventually("it is told", () => (counts.at(-1) === 2 ? true : undefined));
});

test("a client that a server restart cuts off goes on by itself, and no message is lost", async () => {
  using dir = tempDir();
  const env = { DATA_DIR: join(dir.path, "db") };
  const got: unknown[] = [];
  const received: number[] = [];
  const kinds: string[] = [];
  const states: string[] = [];
  const first = await startServer({ env });
  const { port } = new URL(first.url);
  using reader = open(first.url, { onState: (state) => states.push(state) });
  using writer = open(first.url);
  const subscription = reader.subscribeRoom("news", {
    message({ data, offset }) {
      got.push(data);
      received.push(offset);
    },
    recovered: ({ kind }) => kinds.push(kind),
    gap: ({ kind }) => kinds.push(kind),
  });
  await subscription.ready();
  await writer.publish("news", 0);
  const published = Array.from({ length: 20 }, (_, n) => writer.publish("news", n + 1));
  await first[Symbol.asyncDispose]();
  published.push(...Array.from({ length: 20 }, (_, n) => writer.publish("news", n + 21)));
  await using _second = await startServer({ env: { ...env, PORT: port } });
  const offsets = (await Promise.all(published)).map(({ offset }) => offset);
  expect(new Set(offsets).size).toBe(40);
  await eventually("all of them", () => (got.length >= 41 ? true : undefined));
  expect(got.toSorted((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 41 }, (_, n) => n),
  );
  expect(received).toEqual(Array.from({ length: 41 }, (_, n) => n + 1));
  expect(kinds).toEqual(["recovered"]);
  expect(states).toEqual(["connecting", "connected", "reconnecting", "connected"]);
}, 30_000);

test("what a room no longer keeps is a gap", async () => {
  await using server = await startServer();
  using client = open(server.url);
  await client.publish("news", 1);
  const subscription = client.subscribeRoom("news");
  await subscription.ready();
  const { epoch = "" } = subscription.position ?? {};
  subscription.close();
  const gaps: string[] = [];
  const note = (reason: string) => gaps.push(reason);
  const place = async (since: { epoch: string; offset: number }) => {
    const again = client.subscribeRoom("news", { since, gap: ({ reason }) => note(reason) });
    expect((await again.ready()).recovered).toBe(false);
    again.close();
  };
  await place({ epoch: "another", offset: 1 });
  await place({ epoch, offset: 1000 });
  expect(gaps).toEqual(["epoch_changed", "ahead"]);
});

test("of what is typed fast only the last answer is shown", async () => {
  await using server = await startServer();
  using client = open(server.url);
  const { http } = client;
  await http.collections.create({ name: "books", model: "static-256" });
  const documents = [{ id: "1", text: "A storm over the harbour." }];
  await http.documents.upsert("books", documents, { wait: "indexed" });
  const shown: string[] = [];
  const box = client.searchAsYouType({
    collection: "books",
    results: ({ query, hits }) => shown.push(`${query}: ${hits.map(({ id }) => id).join()}`),
    failed: (error) => shown.push(error.code),
  });
  for (const text of ["h", "ha", "har", "harb", "harbou"]) box.query(text);
  await eventually("an answer", () => (shown.length > 0 ? true : undefined));
  expect(shown).toEqual(["harbou: 1"]);
});

test("a request that the server refuses is an error with its code", async () => {
  await using server = await startServer();
  using client = open(server.url);
  const refused = { code: "invalid", errors: [{ field: "/room" }] };
  expect(await client.publish("a room!", 1).catch((error: unknown) => error)).toMatchObject(
    refused,
  );
  const { promise, resolve } = Promise.withResolvers<unknown>();
  client.subscribeRoom("a room!", { ended: resolve });
  expect(await promise).toMatchObject(refused);
});
