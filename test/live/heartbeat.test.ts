import { describe, expect, test } from "bun:test";
import { startServer } from "../support/server.ts";
import { FAST, openRawClient, OPCODES } from "./raw-client.ts";

/** Stale after 1.5 s of silence, looked for every sixth of a second; too slow after one second. */
const SHORT = { WS_HEARTBEAT_INTERVAL: "1", WS_STALE_TIMEOUT: "2", ...FAST };
/** The timeout, and a second for a machine that has other work. */
const GONE_WITHIN_MS = 3000;

describe("a client that answers nothing", () => {
  test("is closed as stale in time, while those that answer in either way stay", async () => {
    await using server = await startServer({ env: SHORT });
    using silent = await openRawClient(server.url, { answers: "none" });
    using native = await openRawClient(server.url, { answers: "native" });
    using json = await openRawClient(server.url, { answers: "json" });
    const started = performance.now();
    expect(await silent.ended).toMatchObject({ code: 4000 });
    const afterMs = performance.now() - started;
    expect(afterMs).toBeGreaterThan(1400);
    expect(afterMs).toBeLessThan(GONE_WITHIN_MS);
    expect(silent.controls.some(({ opcode }) => opcode === OPCODES.ping)).toBe(true);
    expect(silent.all("ping")[0]).toEqual({ type: "ping" });
    for (const client of [native, json])
      expect(await client.ask({ type: "ping", id: "still" })).toMatchObject({ type: "pong" });
    expect(server.live).toMatchObject({ staleCut: 1, connections: 2 });
  });

  test("is closed in a busy room too: what goes out is no sign of life", async () => {
    await using server = await startServer({ env: SHORT });
    using silent = await openRawClient(server.url, { answers: "none" });
    silent.send({ type: "subscribe", id: "s", room: "busy" });
    using writer = await openRawClient(server.url);
    const started = performance.now();
    for (let index = 0; !silent.isEnded; index++)
      await writer.ask({ type: "publish", id: `p${index}`, room: "busy", data: index });
    expect(performance.now() - started).toBeLessThan(GONE_WITHIN_MS);
    expect(await silent.ended).toMatchObject({ code: 4000 });
    expect(silent.all("message").length).toBeGreaterThan(100);
  });
});

describe("a client that does not read", () => {
  test("is cut when too much waits for it, and the others lose nothing", async () => {
    await using server = await startServer({ env: FAST });
    using stalled = await openRawClient(server.url);
    await stalled.ask({ type: "subscribe", id: "s", room: "busy" });
    await stalled.next("caught_up");
    stalled.pause();
    using healthy = await openRawClient(server.url);
    await healthy.ask({ type: "subscribe", id: "s", room: "busy" });
    await healthy.next("caught_up");
    using writer = await openRawClient(server.url);
    const data = "x".repeat(30_000);
    let last = 0;
    while (server.live.connections > 2) {
      for (let index = 0; index < 16; index++)
        writer.send({ type: "publish", id: `p${++last}`, room: "busy", data });
      await writer.take((frame) => frame.id === `p${last}`);
    }
    await healthy.take(({ type, offset }) => type === "message" && offset === last);
    expect(healthy.all("message").length).toBe(last - 1);
    expect(server.live.connectionsLost).toBe(1);
    // Far more than its system takes for it, and no more than the bound.
    expect(last * data.length).toBeGreaterThan(1024 * 1024);
  });

  test("is cut though it answers pings, when what waits for it does not become less", async () => {
    await using server = await startServer({ env: SHORT });
    using writer = await openRawClient(server.url);
    const data = "x".repeat(30_000);
    for (let index = 1; index <= 600; index++)
      writer.send({ type: "publish", id: `p${index}`, room: "long", data });
    await writer.take((frame) => frame.id === "p600");
    using stalled = await openRawClient(server.url, { answers: "none" });
    await stalled.next("welcome");
    stalled.send({ type: "subscribe", id: "s", room: "long", history: 600 });
    stalled.pause();
    const alive = setInterval(() => stalled.send({ type: "pong" }), 100);
    const started = performance.now();
    await writer.until(() => server.live.connections === 1);
    clearInterval(alive);
    // A ping may make the system take some more, so the time begins a heartbeat later.
    expect(performance.now() - started).toBeLessThan(GONE_WITHIN_MS + 1000);
    expect(server.live).toMatchObject({ slowCut: 1, staleCut: 0 });
  });
});
