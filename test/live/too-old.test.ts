import { expect, test } from "bun:test";
import { startServer } from "../support/server.ts";
import { openRawClient } from "./raw-client.ts";

const KEPT = 100;
const PUBLISHED = 300;
const CLIENTS = 200;

test(`of ${CLIENTS} clients with positions, each that is too old is told so, and every other gets exactly what it missed`, async () => {
  await using server = await startServer();
  await server.call("PUT /api/v1/rooms/news", { history_messages: KEPT, history_seconds: 3600 });
  for (let n = 1; n <= PUBLISHED; n++) {
    expect((await server.call("POST /api/v1/rooms/news/messages", { data: n })).status).toBe(201);
  }
  const read = async (offset: number) => {
    using client = await openRawClient(server.url);
    const { epoch } = await client.next("welcome");
    const since = { epoch, offset };
    const answer = await client.ask({ type: "subscribe", id: "s", room: "news", since });
    await client.next("caught_up");
    const data = client.all("message").map((frame) => frame["data"]);
    const { recovered, reason } = answer;
    return { offset, recovered, reason, data };
  };
  const step = PUBLISHED / CLIENTS;
  const answers = await Promise.all(
    Array.from({ length: CLIENTS }, (_, client) => read(Math.ceil(client * step))),
  );
  const oldest = PUBLISHED - KEPT + 1;
  expect(answers.filter(({ recovered }) => recovered !== true).length).toBeGreaterThan(100);
  for (const { offset, recovered, reason, data } of answers) {
    const kept = offset + 1 >= oldest;
    const missed = Array.from({ length: PUBLISHED - offset }, (_, n) => offset + 1 + n);
    expect({ offset, recovered, data }).toEqual({
      offset,
      recovered: kept,
      data: kept ? missed : [],
    });
    if (!kept) expect(reason).toBe("too_old");
  }
});
