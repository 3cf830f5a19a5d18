import { expect, test } from "bun:test";
import { openRawClient, type RawClient } from "../live/raw-client.ts";
import { publishTo, readRoom } from "../support/live-reader.ts";
import { residentBytes } from "../../bench/support/process-facts.ts";
import { eventually, logLines, startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const TEST_MS_MAX = 120_000;
const HEALTHY = 20;
/** A message of 4 KB every 20 ms: what a client does not read fills the system's buffers within seconds. */
const EVERY_MS = 20;
const MESSAGE = "x".repeat(4096);
const GROWTH_BYTES_MAX = 32 * 1024 * 1024;

/** Within how long both have to be gone; LIVE_STALE_SECONDS=60 runs the default settings. */
const staleSeconds = Number(process.env["LIVE_STALE_SECONDS"] ?? "12");
const heartbeatSeconds = staleSeconds === 60 ? 15 : 2;

async function subscribe(client: RawClient): Promise<void> {
  await client.next("welcome");
  await client.ask({ type: "subscribe", id: "s", room: "busy" });
}

/** Publishes one message after the other at a pace until it is stopped; gives how many were acknowledged. */
function publishSteadily(url: string): { stop: () => Promise<number> } {
  let acknowledged = 0;
  const running = new Set<Promise<void>>();
  const publish = async (): Promise<void> => {
    const response = await publishTo(url, "busy", { data: MESSAGE });
    if (response.status === 201) acknowledged++;
  };
  const timer = setInterval(() => {
    const one = publish().finally(() => running.delete(one));
    running.add(one);
  }, EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
      return acknowledged;
    },
  };
}

test(
  `a client that stops reading and one that stops answering are gone within ${staleSeconds} s, and healthy ones lose nothing`,
  async () => {
    using dir = tempDir();
    const env = {
      ENGINES: "0",
      WS_HEARTBEAT_INTERVAL: String(heartbeatSeconds),
      WS_STALE_TIMEOUT: String(staleSeconds),
    };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    const healthy = Array.from({ length: HEALTHY }, () => readRoom(() => server.url, "busy"));
    using stalled = await openRawClient(server.url);
    using silent = await openRawClient(server.url, { answers: "none" });
    await subscribe(stalled);
    await subscribe(silent);
    await eventually("all are subscribed", () =>
      healthy.every(({ heard }) => heard.has("subscribed")) ? true : undefined,
    );
    const steady = publishSteadily(server.url);
    await eventually("the room is busy", () =>
      healthy.every(({ received }) => received.length > 50) ? true : undefined,
    );
    const before = residentBytes(server.pid);
    let peak = before;
    const watching = setInterval(() => (peak = Math.max(peak, residentBytes(server.pid))), 100);
    const start = performance.now();
    stalled.pause();
    await eventually(
      "both are gone",
      () =>
        logLines(server).filter(({ event }) => event === "ws.disconnected").length === 2
          ? true
          : undefined,
      { everyMs: 100, withinMs: (staleSeconds + 5) * 1000 },
    );
    const goneMs = performance.now() - start;
    await silent.ended;
    clearInterval(watching);
    const acknowledged = await steady.stop();
    await eventually("every healthy one has all", () =>
      healthy.every(({ received }) => received.length >= acknowledged) ? true : undefined,
    );
    console.log(
      `both gone after ${(goneMs / 1000).toFixed(1)} s, memory grew by ${((peak - before) / 1e6).toFixed(1)} MB`,
    );
    for (const reader of healthy) {
      reader.end();
      expect(reader.received.length).toBe(acknowledged);
      expect(reader.holes).toEqual([]);
      expect(reader.closeCodes).toEqual([]);
    }
    expect(goneMs).toBeLessThan(staleSeconds * 1000);
    expect(peak - before).toBeLessThan(GROWTH_BYTES_MAX);
  },
  TEST_MS_MAX,
);
