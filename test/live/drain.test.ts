import { describe, expect, test } from "bun:test";
import { LIVE_FRAMES } from "../../src/contract/live.ts";
import type { SearchResult } from "../../src/contract/search.ts";
import { shaped, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { openEdge } from "./edge.ts";
import { FAST, openRawClient, type RawClient } from "./raw-client.ts";

describe("a server that stops", () => {
  test("tells two hundred clients, closes them with 1001, and they go on after the restart with nothing lost", async () => {
    using dir = tempDir();
    const env = { DATA_DIR: dir.path, ...FAST };
    const clients: RawClient[] = [];
    const last = new Map<number, number>();
    let epoch = "";
    {
      await using server = await startServer({ env });
      using writer = await openRawClient(server.url);
      for (let index = 0; index < 200; index++) {
        const client = await openRawClient(server.url);
        epoch = String((await client.ask({ type: "subscribe", id: "s", room: "news" }))["epoch"]);
        await client.next("caught_up");
        clients.push(client);
      }
      for (let index = 1; index <= 20; index++)
        writer.send({ type: "publish", id: `p${index}`, room: "news", data: index });
      await writer.next("published");
      const stopped = server.stop();
      for (const [index, client] of clients.entries()) {
        const draining = shaped(LIVE_FRAMES.draining, await client.next("draining"));
        expect(draining.reconnect_after_ms).toBeGreaterThanOrEqual(0);
        expect(draining.reconnect_after_ms).toBeLessThan(5000);
        expect(await client.ended).toMatchObject({ code: 1001 });
        last.set(index, client.all("message").length);
      }
      expect(await stopped).toBe(true);
      // All that was accepted before was answered.
      await writer.ended;
      const answered = writer.all("published").length + 1;
      expect(answered + writer.all("error").length).toBe(20);
      for (const count of last.values()) expect(count).toBe(answered);
    }
    await using server = await startServer({ env });
    using writer = await openRawClient(server.url);
    const { offset: head } = shaped(
      LIVE_FRAMES.published,
      await writer.ask({ type: "publish", id: "new", room: "news", data: "new" }),
    );
    for (const offset of last.values()) {
      using client = await openRawClient(server.url);
      const since = { epoch, offset };
      expect(await client.ask({ type: "subscribe", id: "s", room: "news", since })).toMatchObject({
        recovered: true,
      });
      await client.next("caught_up");
      const missed = client.all("message").map((message) => message["offset"]);
      expect(missed).toEqual(
        Array.from({ length: head - offset }, (_, index) => offset + 1 + index),
      );
    }
  }, 20_000);

  test("finishes what runs, refuses what is new, and still answers pings", async () => {
    const search = Promise.withResolvers<SearchResult>();
    await using edge = await openEdge({
      features: (real) => ({ ...real, search: () => search.promise }),
    });
    using client = await openRawClient(edge.url);
    client.send({ type: "search", id: "long", collection: "c", query: "q" });
    await client.ask({ type: "ping", id: "before" });
    const { drain } = edge.live;
    drain.announce(30_000);
    expect(await client.next("draining")).toMatchObject({ deadline_ms: 30_000 });
    const refused = await client.ask({ type: "publish", id: "new", room: "news", data: 1 });
    expect(refused).toMatchObject({ type: "error", code: "draining" });
    expect(await client.ask({ type: "ping", id: "p" })).toMatchObject({ type: "pong" });
    expect(openRawClient(edge.url)).rejects.toThrow("503");
    expect(await drain.idle(0)).toBe(false);
    const idle = drain.idle(10_000);
    search.resolve({ hits: [], took_ms: 1, model: "none", sequence: 1 });
    expect(await idle).toBe(true);
    expect(await client.next("results")).toMatchObject({ id: "long" });
    expect(await drain.close(1000)).toBe(1);
    expect(await client.ended).toMatchObject({ code: 1001 });
  });

  test("does not wait for ever for a request that does not end", async () => {
    await using edge = await openEdge({
      features: (real) => ({ ...real, search: () => new Promise(() => {}) }),
    });
    using client = await openRawClient(edge.url);
    client.send({ type: "search", id: "endless", collection: "c", query: "q" });
    await client.ask({ type: "ping", id: "before" });
    edge.live.drain.announce(1);
    expect(await edge.live.drain.idle(1)).toBe(false);
  });

  test("cuts clients that do not answer the close", async () => {
    await using server = await startServer();
    using stalled = await openRawClient(server.url);
    await stalled.next("welcome");
    stalled.pause();
    const started = performance.now();
    expect(await server.stop()).toBe(true);
    expect(performance.now() - started).toBeLessThan(4000);
  });
});
