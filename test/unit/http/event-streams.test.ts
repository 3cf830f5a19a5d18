import { describe, expect, test } from "bun:test";
import { getEventListeners } from "node:events";
import { createEventStreams } from "../../../src/http/event-streams.ts";
import { setScope } from "../../../src/http/request-scope.ts";
import { limits } from "../../../src/limits.ts";
import { problemOf } from "../problems/problem-of.ts";
import { openWorld, span } from "../rooms/world.ts";

/** A request as the front hands it on. */
function request(headers: Record<string, string> = {}): Request {
  const made = new Request("http://localhost/events", { headers });
  setScope(made, { requestId: "r", error: undefined, keepOpen() {}, runsUntil() {} });
  return made;
}

/** Parts of an answer's body as text, one at a time. */
function partsOf(response: Response): { next(): Promise<string | undefined> } {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  return {
    async next() {
      const part = await reader?.read();
      return part?.value === undefined ? undefined : decoder.decode(part.value);
    },
  };
}

describe("an event stream", () => {
  test("shows that it lives when there is nothing to say", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    using streams = createEventStreams(rooms, world.clock);
    const parts = partsOf(await streams.open(request(), { room: "news" }));
    expect(await parts.next()).toMatch(/^retry: 2000\nid: [\w-]+:0\n\n$/);
    const heartbeat = parts.next();
    await new Promise(setImmediate);
    world.clock.pass(15_000);
    expect(await heartbeat).toBe(": \n\n");
    await rooms.publish("news", 1);
    world.clock.pass(15_000);
    expect(await parts.next()).toContain("event: message\n");
    streams.end();
    expect(await parts.next()).toBeUndefined();
    world.clock.pass(15_000);
    rooms[Symbol.dispose]();
    expect(world.clock.waiting).toBe(0);
  });

  test("is one of a bounded number, whether it is read or not", async () => {
    await using world = await openWorld();
    using streams = createEventStreams(world.life.rooms, world.clock);
    const open = () => streams.open(request(), { room: "news" });
    const opened = Array.from({ length: limits.eventStreamsMax }, open);
    // All at once: none is open yet when the last of them is asked for.
    const [oneTooMany, responses] = await Promise.all([problemOf(open), Promise.all(opened)]);
    expect(oneTooMany.code).toBe("busy");
    await responses[0]?.body?.cancel();
    expect((await open()).status).toBe(200);
  });

  test("tells what is published in the moment in which it has reached the head", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await rooms.configure("news", { history_messages: 0 });
    // Another reader's turn comes right after the look at the head, before anything else happens.
    let looks = 0;
    const streams = createEventStreams({
      listen: (listener) => rooms.listen(listener),
      stream(name) {
        const room = rooms.stream(name);
        return {
          sub: room.sub,
          resume: (options) => room.resume(options),
          read: (options) => room.read(options),
          head() {
            if (looks++ === 0) queueMicrotask(() => void rooms.publish(name, "in between"));
            return room.head();
          },
        };
      },
    });
    const parts = partsOf(await streams.open(request(), { room: "news" }));
    await parts.next();
    expect(await parts.next()).toContain(`"data":"in between"`);
    streams[Symbol.dispose]();
  });

  test("tells of what was removed while it was replayed, and goes on with what is new", async () => {
    await using world = await openWorld();
    await Promise.all(span(1, 400).map((lap) => world.life.rooms.publish("news", lap)));
    const { rooms } = await world.restart();
    using streams = createEventStreams(rooms, world.clock);
    const parts = partsOf(await streams.open(request(), { room: "news", history: 400 }));
    await parts.next();
    const page = (await parts.next()) ?? "";
    expect([...page.matchAll(/^id: [^:]+:(\d+)$/gm)].map(([, id]) => Number(id))).toEqual(
      span(1, limits.eventFramesPerRead),
    );
    await rooms.remove("news");
    expect(await parts.next()).toMatch(
      /^id: [\w-]+:400\nevent: lost\ndata: \{"reason":"too_old","epoch":"[\w-]+","offset":400\}\n\n$/,
    );
    const live = parts.next();
    await rooms.publish("news", "new");
    expect(await live).toMatch(/^id: [\w-]+:401\nevent: message\ndata: \{.*"data":"new"\}\n\n$/);
  });

  test("ends with what it reads, even when that was gone before it was open, and is held by it no longer", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    using streams = createEventStreams(rooms, world.clock);
    const gone = new AbortController();
    const open = () => streams.open(request(), { stream: rooms.stream("news"), gone: gone.signal });
    const left = await open();
    expect(getEventListeners(gone.signal, "abort")).toHaveLength(1);
    await left.body?.cancel();
    expect(getEventListeners(gone.signal, "abort")).toHaveLength(0);
    const parts = partsOf(await open());
    await parts.next();
    const opening = open();
    gone.abort();
    expect(await parts.next()).toBeUndefined();
    const late = partsOf(await opening);
    await late.next();
    expect(await late.next()).toBeUndefined();
  });

  test("takes its turn in reading the past, however many there are", async () => {
    await using world = await openWorld();
    const { rooms } = world.life;
    await Promise.all(span(1, 1000).map((lap) => rooms.publish("news", lap)));
    let pages = 0;
    using streams = createEventStreams({
      listen: (listener) => rooms.listen(listener),
      stream(name) {
        const room = rooms.stream(name);
        return {
          sub: room.sub,
          head: () => room.head(),
          resume: (options) => room.resume(options),
          read(options) {
            pages++;
            return room.read(options);
          },
        };
      },
    });
    let [most, done] = [0, false];
    const look = (): void => {
      most = Math.max(most, pages);
      pages = 0;
      if (!done) setImmediate(look);
    };
    look();
    const readAll = async (): Promise<void> => {
      const parts = partsOf(await streams.open(request(), { room: "news", history: 1000 }));
      for (let text = ""; !text.includes(":1000\n"); text = (await parts.next()) ?? "");
    };
    await Promise.all(Array.from({ length: 100 }, readAll));
    done = true;
    look();
    expect(most).toBeLessThanOrEqual(2 * limits.eventReadsPerTurn);
  });

  test("ends where the store cannot be read: its reader comes back", async () => {
    await using world = await openWorld();
    await Promise.all(span(1, 300).map((lap) => world.life.rooms.publish("news", lap)));
    const { rooms } = await world.restart();
    using streams = createEventStreams(rooms, world.clock);
    const parts = partsOf(await streams.open(request(), { room: "news", history: 300 }));
    await parts.next();
    await parts.next();
    await world.stop();
    expect(await parts.next()).toBeUndefined();
  });
});
