import { describe, expect, test } from "bun:test";
import { LIVE_FRAMES } from "../../src/contract/live.ts";
import type { HistoryPage } from "../../src/rooms/rooms.ts";
import { parseConfig } from "../../src/config.ts";
import { createFront } from "../../src/http/front.ts";
import { listen } from "../../src/http/serve.ts";
import { createLive } from "../../src/live/live.ts";
import { shaped } from "../support/server.ts";
import { openEdge } from "./edge.ts";
import { FAST, openRawClient, shakeHands } from "./raw-client.ts";

describe("a client that sends too much", () => {
  test("is told so by request, and is served again after a while", async () => {
    await using edge = await openEdge({ env: { WS_RATE: "10", WS_BURST: "5" } });
    using client = await openRawClient(edge.url);
    for (let index = 0; index < 8; index++) client.send({ type: "ping", id: `p${index}` });
    const refused = shaped(LIVE_FRAMES.error, await client.take((frame) => frame.id === "p7"));
    expect(refused).toMatchObject({ code: "rate_limited", retry_after_ms: 100 });
    expect(client.all("pong").map(({ id }) => id)).toEqual(["p0", "p1", "p2", "p3", "p4"]);
    expect(client.all("error").map(({ id }) => id)).toEqual(["p5", "p6"]);
    const asked = performance.now();
    while (performance.now() - asked < (refused.retry_after_ms ?? 0)) await fetch(edge.url);
    expect(await client.ask({ type: "ping", id: "later" })).toMatchObject({ type: "pong" });
  });

  test("and does not stop is closed with a code that says when to come back", async () => {
    await using edge = await openEdge({ env: { WS_RATE: "1", WS_BURST: "5" } });
    using client = await openRawClient(edge.url);
    for (let index = 0; index < 40; index++) client.send({ type: "pong" });
    expect(await client.ended).toMatchObject({ code: 4003 });
    expect(client.all("error").length).toBe(10);
    expect(edge.live.counters).toMatchObject({ rateCut: 1, connections: 0 });
  });

  test("of what is no protocol of ours is closed for good", async () => {
    await using edge = await openEdge();
    for (const frame of ["nonsense", '{"type":"explode"}']) {
      using client = await openRawClient(edge.url);
      for (let index = 0; index < 12; index++) client.frame(frame);
      expect(await client.ended).toMatchObject({ code: 4500 });
      expect(client.all("error").length).toBe(10);
    }
    expect(edge.live.counters.protocolCut).toBe(2);
  });

  test("of requests with wrong fields is only told so", async () => {
    await using edge = await openEdge();
    using client = await openRawClient(edge.url);
    for (let index = 0; index < 30; index++)
      client.send({ type: "presence", id: `p${index}`, room: "" });
    expect(await client.ask({ type: "ping", id: "still" })).toMatchObject({ type: "pong" });
    expect(client.all("error").length).toBe(30);
  });

  test("at once is not read from while it waits, and every request is answered", async () => {
    const gate = Promise.withResolvers<void>();
    const page: HistoryPage = { items: [], more: false, epoch: "e", head: 0, oldest: 1 };
    await using edge = await openEdge({
      env: FAST,
      features: (real) => ({
        ...real,
        rooms: {
          ...real.rooms,
          async history() {
            await gate.promise;
            return page;
          },
        },
      }),
    });
    using client = await openRawClient(edge.url);
    await client.next("welcome");
    const ids = Array.from({ length: 400 }, (_, index) => `h${index}`);
    for (const id of ids.slice(0, 200)) client.send({ type: "history", id, room: "news" });
    using other = await openRawClient(edge.url);
    // What comes after the pause stays in the system's buffers.
    await other.until(() => edge.live.counters.framesIn > 100);
    const before = edge.live.counters.framesIn;
    for (const id of ids.slice(200)) client.send({ type: "history", id, room: "news" });
    for (let index = 0; index < 20; index++) await other.ask({ type: "ping", id: `${index}` });
    expect(edge.live.counters.framesIn - before).toBeLessThan(220);
    gate.resolve();
    await client.take((frame) => frame.id === "h399");
    expect(client.all("history").map(({ id }) => id)).toEqual(ids.slice(0, -1));
    expect(client.all("error")).toEqual([]);
  });
});

describe("a connection", () => {
  test("that is one too many is closed with a reason, until another one leaves", async () => {
    await using edge = await openEdge({ env: { WS_CONNECTIONS_MAX: "1" } });
    using first = await openRawClient(edge.url);
    await first.next("welcome");
    using second = await openRawClient(edge.url);
    expect(await second.ended).toMatchObject({ code: 1013 });
    expect(second.received).toBe(1);
    first.drop();
    await first.ended;
    while (edge.live.counters.connections > 0) await fetch(edge.url);
    using third = await openRawClient(edge.url);
    expect(await third.next("welcome")).toMatchObject({ protocol: "slipstream.v1" });
    expect(edge.live.counters).toMatchObject({ connectionsOpened: 2, connectionsRefused: 1 });
  });

  test("from a page is let in from our own host and from those that are listed", async () => {
    await using edge = await openEdge({ env: { CORS_ORIGINS: "https://app.example.com" } });
    const outcome = async (headers: Record<string, string>): Promise<string> => {
      using client = await openRawClient(edge.url, { headers });
      const welcome = client.next("welcome").then(
        () => "in",
        () => "",
      );
      return (await welcome) || String((await client.ended).code);
    };
    expect(await outcome({})).toBe("in");
    expect(await outcome({ Origin: edge.url })).toBe("in");
    expect(await outcome({ Origin: "https://app.example.com" })).toBe("in");
    expect(await outcome({ Origin: "https://example.com" })).toBe("4503");
    expect(await outcome({ Origin: "null" })).toBe("4503");
    expect(await outcome({ Origin: "http://localhost:1" })).toBe("4503");
  });

  test("to a server that is starting is refused over HTTP, with when to come back", async () => {
    using live = createLive(parseConfig({}));
    const front = createFront(() => new Response("here"), { state: "starting", steps: [] });
    const listening = listen(front, { host: "127.0.0.1", port: 0, live });
    const { socket, head } = await shakeHands(listening.url);
    socket.destroy();
    expect(head).toStartWith("HTTP/1.1 503 ");
    expect(head.toLowerCase()).toContain("retry-after: 1");
    await listening.stop(0);
  });
});
