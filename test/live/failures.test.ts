import { describe, expect, test } from "bun:test";
import { LIVE_FRAMES } from "../../src/contract/live.ts";
import { Problem } from "../../src/problems.ts";
import type { LiveFeatures } from "../../src/live/features.ts";
import { expectNothingOfOurs } from "../http/answers.ts";
import { shaped } from "../support/server.ts";
import { openEdge } from "./edge.ts";
import { openRawClient } from "./raw-client.ts";

function fails(): never {
  throw new Error("a bug at /work/src/secret.ts");
}

/** Each part that a connection can reach, broken in turn, and a request that reaches it. */
const broken: Readonly<
  Record<string, { rooms: Partial<LiveFeatures["rooms"]>; request: Record<string, unknown> }>
> = {
  "a publication that throws": {
    rooms: { publish: fails },
    request: { type: "publish", room: "a", data: 1 },
  },
  "a publication that rejects": {
    rooms: { publish: () => Promise.reject(new Error("a bug at /work/src/secret.ts")) },
    request: { type: "publish", room: "a", data: 1 },
  },
  "a stream that cannot be made": {
    rooms: { stream: fails },
    request: { type: "subscribe", room: "a" },
  },
  "a history that throws": { rooms: { history: fails }, request: { type: "history", room: "a" } },
  "a presence that throws": {
    rooms: { presence: { join: fails, leave: fails, of: fails } },
    request: { type: "presence", room: "a" },
  },
  "a presence that throws at a subscription": {
    rooms: { presence: { join: fails, leave: fails, of: fails } },
    request: { type: "subscribe", room: "a", presence: true },
  },
};

describe("a bug behind a request", () => {
  for (const [name, { rooms, request }] of Object.entries(broken)) {
    test(`as ${name} is told as internal, and the server goes on`, async () => {
      await using edge = await openEdge({
        features: (real) => ({ ...real, rooms: { ...real.rooms, ...rooms } }),
      });
      {
        using client = await openRawClient(edge.url);
        client.send({ id: "bug", ...request });
        const told = await client.take(({ type, id }) => type === "error" && id === "bug");
        expect(shaped(LIVE_FRAMES.error, told).code).toBe("internal");
        expectNothingOfOurs(JSON.stringify(told));
        expect(await client.ask({ type: "ping", id: "still" })).toMatchObject({ type: "pong" });
      }
      using another = await openRawClient(edge.url);
      expect(await another.next("welcome")).toBeDefined();
      expect(edge.live.counters.failures).toBeGreaterThanOrEqual(1);
      await another.until(() => edge.live.counters.connections === 1);
    });
  }

  test("in a search is told as internal, thrown or rejected", async () => {
    await using edge = await openEdge({ features: (real) => ({ ...real, search: fails }) });
    using client = await openRawClient(edge.url);
    const asked = await client.ask({ type: "search", id: "s", collection: "c", query: "q" });
    expect(asked).toMatchObject({ type: "error", code: "internal" });
  });

  test("that is a known problem is told by its code, with when to try again", async () => {
    await using edge = await openEdge({
      features: (real) => ({
        ...real,
        search: () =>
          Promise.reject(new Problem("busy", "Too many searches.", { retryAfterMs: 250 })),
      }),
    });
    using client = await openRawClient(edge.url);
    const asked = await client.ask({ type: "search", id: "s", collection: "c", query: "q" });
    expect(asked).toEqual({
      type: "error",
      id: "s",
      code: "unavailable",
      message: "Too many searches.",
      retry_after_ms: 250,
      problem: "busy",
    });
  });

  test("in a replay ends the subscription and nothing else", async () => {
    await using edge = await openEdge({
      features: (real) => ({
        ...real,
        rooms: {
          ...real.rooms,
          stream(room) {
            const stream = real.rooms.stream(room);
            return {
              sub: stream.sub,
              head: () => stream.head(),
              resume: (options) => stream.resume(options),
              read: () => Promise.reject(new Error("a bug")),
            };
          },
        },
      }),
    });
    using client = await openRawClient(edge.url);
    await client.ask({ type: "publish", id: "p", room: "a", data: 1 });
    client.send({ type: "subscribe", id: "s", room: "a", history: 1 });
    expect(await client.next("unsubscribed")).toEqual({
      type: "unsubscribed",
      sub: "r:a",
      code: "internal",
      message: "Something went wrong on our side",
    });
    expect(await client.ask({ type: "subscribe", id: "again", room: "a" })).toMatchObject({
      type: "subscribed",
    });
    expect(edge.live.counters.failures).toBe(1);
  });
});
