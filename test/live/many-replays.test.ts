import { expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { openEdge } from "./edge.ts";
import { FAST, openRawClient } from "./raw-client.ts";

test("many that resume at once take turns, so that what others ask is answered in between", async () => {
  let pages = 0;
  await using edge = await openEdge({
    env: FAST,
    features: (real) => ({
      ...real,
      rooms: {
        ...real.rooms,
        stream(name) {
          const room = real.rooms.stream(name);
          return {
            sub: room.sub,
            head: () => room.head(),
            resume: (options) => room.resume(options),
            read(options) {
              // The first page of each comes at once.
              if (options.after > 0) pages++;
              return room.read(options);
            },
          };
        },
      },
    }),
  });
  const [messages, readers] = [64, 100];
  // Two to a page.
  const data = "x".repeat(30_000);
  await Promise.all(Array.from({ length: messages }, () => edge.rooms.publish("news", data)));
  const { epoch } = await edge.rooms.history("news", { limit: 1 });
  await using stack = new AsyncDisposableStack();
  const clients = await Promise.all(
    Array.from({ length: readers }, async () => stack.use(await openRawClient(edge.url))),
  );
  let [most, done] = [0, false];
  const turn = (): void => {
    most = Math.max(most, pages);
    pages = 0;
    if (!done) setImmediate(turn);
  };
  turn();
  const since = { epoch, offset: 0 };
  await Promise.all(
    clients.map(async (client) => {
      await client.ask({ type: "subscribe", id: "s", room: "news", since });
      await client.next("caught_up");
      expect(client.all("message")).toHaveLength(messages);
    }),
  );
  done = true;
  turn();
  // The end of one turn and the beginning of the next may fall between two looks.
  expect(most).toBeLessThanOrEqual(2 * limits.liveReplayPagesPerTurn);
}, 20_000);
