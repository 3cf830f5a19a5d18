import { describe, expect, test } from "bun:test";
import { newConnection, type Connection, type Socket } from "../../../src/live/connection.ts";
import { ConnectionRegistry } from "../../../src/live/connection-registry.ts";
import { newCounters } from "../../../src/live/counters.ts";
import { openRawClient, OPCODES, type RawClient } from "../../live/raw-client.ts";

const MINUTE = 60_000;

/** The time at which all begins. */
const clock = performance.now();

/** Real sockets of a bare server; time is what the test says. Nobody answers a ping. */
async function openWorld(count: number) {
  await using stack = new AsyncDisposableStack();
  const sockets: Socket[] = [];
  const held: Socket[] = [];
  const counters = newCounters();
  const registry = stack.use(
    new ConnectionRegistry({
      heartbeatMs: 15_000,
      staleMs: 45_000,
      sweepMs: 5000,
      slowMs: 30_000,
      bufferedBytesMax: 10 * 1024 * 1024,
      counters,
      onHeld: (ws) => void held.push(ws),
    }),
  );
  const server = Bun.serve<Connection>({
    port: 0,
    fetch(request, upgrader) {
      const data = newConnection("s", { nowMs: clock, tokens: 1, refusal: undefined });
      return upgrader.upgrade(request, { data }) ? undefined : new Response("none");
    },
    websocket: {
      open(ws) {
        sockets.push(ws);
        registry.connect(ws);
      },
      message() {},
      close: (ws) => registry.disconnect(ws),
    },
  });
  stack.defer(() => server.stop(true));
  const clients: RawClient[] = [];
  for (let index = 0; index < count; index++)
    clients.push(stack.use(await openRawClient(server.url.origin, { answers: "none" })));
  const owned = stack.move();
  return {
    registry,
    sockets,
    clients,
    counters,
    held,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function tickTo(registry: ConnectionRegistry, fromMs: number, toMs: number): void {
  for (let now = fromMs; now <= toMs; now += 1000) registry.tick(clock + now);
}

describe("the registry of connections", () => {
  test("finds one stale after 45 s of silence and not before, and cuts it within 50 s", async () => {
    await using world = await openWorld(1);
    const { registry, sockets, clients, counters } = world;
    const [data] = sockets.map((ws) => ws.data);
    if (data === undefined) throw new Error("there is a connection");
    registry.touch(data, clock);
    expect(registry.isStale(data, clock + 44_999)).toBe(false);
    expect(registry.isStale(data, clock + 45_001)).toBe(true);
    tickTo(registry, 0, 44_000);
    expect(registry.size).toBe(1);
    tickTo(registry, 45_000, 50_000);
    expect(registry.size).toBe(0);
    expect(await clients[0]?.ended).toMatchObject({ code: 4000 });
    expect(counters.staleCut).toBe(1);
  });

  test("keeps one that is heard, for hours", async () => {
    await using world = await openWorld(1);
    const { registry, sockets } = world;
    for (let now = 0; now < 120 * MINUTE; now += 1000) {
      if (now % 40_000 === 0) for (const { data } of sockets) registry.touch(data, clock + now);
      registry.tick(clock + now);
    }
    expect(registry.size).toBe(1);
  });

  test("never finds one stale that is not read from", async () => {
    await using world = await openWorld(1);
    for (const { data } of world.sockets) data.paused = true;
    tickTo(world.registry, 0, 2 * MINUTE);
    expect(world.registry.size).toBe(1);
  });

  test("judges nobody after a pause of its own, before what they sent was read", async () => {
    await using world = await openWorld(1);
    const { registry, sockets } = world;
    for (const { data } of sockets) registry.touch(data, clock);
    registry.tick(clock);
    registry.tick(clock + 2 * MINUTE);
    expect(registry.size).toBe(1);
    for (const { data } of sockets) registry.touch(data, clock + 2 * MINUTE);
    tickTo(registry, 2 * MINUTE + 1000, 2 * MINUTE + 10_000);
    expect(registry.size).toBe(1);
  });

  test("pings each once in fifteen turns, in both ways, and no turn has more than its share", async () => {
    await using world = await openWorld(30);
    const { registry, clients } = world;
    const before = clients.map(({ received }) => received);
    expect(before).toEqual(clients.map(() => 0));
    registry.tick(clock);
    for (let turn = 1; turn < 15; turn++) registry.tick(clock + turn * 1000);
    for (const client of clients) await client.next("ping");
    expect(clients.map(({ received }) => received)).toEqual(clients.map(() => 2));
    expect(clients.every(({ controls }) => controls[0]?.opcode === OPCODES.ping)).toBe(true);
  });

  test("goes on with the others when some leave between turns", async () => {
    await using world = await openWorld(20);
    const { registry, clients, sockets } = world;
    for (const [index, ws] of sockets.entries()) if (index % 3 === 0) ws.terminate();
    for (let turn = 0; turn < 15; turn++) registry.tick(clock + turn * 1000);
    for (const client of clients.filter((_, index) => index % 3 !== 0)) await client.next("ping");
    expect(registry.size).toBe(13);
    expect([...registry].length).toBe(13);
  });

  test("cuts one that takes nothing for 30 s, and not one that takes some", async () => {
    await using world = await openWorld(2);
    const { registry, sockets, clients, counters, held } = world;
    for (const client of clients) client.pause();
    for (const ws of sockets) while (ws.getBufferedAmount() <= 100_000) ws.send("x".repeat(50_000));
    const [taking] = sockets;
    for (let now = 0; now <= 40_000; now += 1000) {
      for (const { data } of sockets) registry.touch(data, clock + now);
      if (taking !== undefined && now % 20_000 === 0) registry.drained(taking.data, clock + now);
      registry.tick(clock + now);
    }
    expect([...registry]).toEqual(taking === undefined ? [] : [taking]);
    expect(counters).toMatchObject({ slowCut: 1, staleCut: 0 });
    expect(new Set(held).size).toBe(2);
  });

  test("cuts the largest first when all together have too much unsent", async () => {
    await using world = await openWorld(3);
    const { registry, sockets, clients, counters } = world;
    for (const client of clients) client.pause();
    const sizes = [8, 1, 4].map((megabytes) => megabytes * 1024 * 1024);
    for (const [index, ws] of sockets.entries())
      while (ws.getBufferedAmount() < (sizes[index] ?? 0)) ws.send("x".repeat(500_000));
    tickTo(registry, 0, 10_000);
    expect(counters.slowCut).toBe(1);
    expect([...registry].toSorted((a, b) => sockets.indexOf(a) - sockets.indexOf(b))).toEqual(
      sockets.slice(1),
    );
  });

  test("has a timer while it has connections, and none after the last has gone", async () => {
    await using world = await openWorld(2);
    const { registry, sockets } = world;
    let size = registry.size;
    expect(size).toBe(2);
    for (const ws of sockets) ws.terminate();
    size = registry.size;
    expect(size).toBe(0);
    expect(registry.isTicking).toBe(false);
  });
});
