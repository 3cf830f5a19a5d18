import { describe, expect, test } from "bun:test";
import {
  HistorySchema,
  LostEventSchema,
  PresenceSchema,
  PublishedSchema,
  RoomSchema,
} from "../../src/contract/rooms.ts";
import { pageOf } from "../../src/contract/shared.ts";
import { shaped, startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { expectRefused, read, readPages } from "./answers.ts";
import { openEvents } from "./event-client.ts";
import { openRaw } from "./raw-connection.ts";

const MESSAGES = "/api/v1/rooms/news/messages";

const publish = async (server: TestServer, data: unknown, room = "news") =>
  read(PublishedSchema, await server.call(`POST /api/v1/rooms/${room}/messages`, { data }));

describe("a message over HTTP", () => {
  test("is answered with its offset, and is in the room's history", async () => {
    await using server = await startServer();
    const answer = await server.call(`POST ${MESSAGES}`, { data: { lap: 1 } });
    expect(answer.status).toBe(201);
    expect(read(PublishedSchema, answer)).toMatchObject({ offset: 1 });
    expect((await publish(server, "two")).offset).toBe(2);
    const { items, more, head, oldest, epoch } = read(
      HistorySchema,
      await server.call(`GET ${MESSAGES}?after=0&limit=1`),
    );
    expect(items).toMatchObject([{ offset: 1, data: { lap: 1 } }]);
    expect({ more, head, oldest }).toEqual({ more: true, head: 2, oldest: 1 });
    expect(epoch).toMatch(/^[\w-]+$/);
    const last = read(HistorySchema, await server.call(`GET ${MESSAGES}?before=2`));
    expect(last.items.map(({ offset }) => offset)).toEqual([1]);
  });

  test("repeated with its key is one, whether the key is in the body or in the header", async () => {
    await using server = await startServer();
    const first = await server.call(`POST ${MESSAGES}`, { data: 1, key: "k" });
    const { offset, ts } = read(PublishedSchema, first);
    const header = { "idempotency-key": "k" };
    const again = await server.call(`POST ${MESSAGES}`, { data: 1 }, header);
    expect(read(PublishedSchema, again)).toEqual({ offset, ts, duplicate: true });
    const both = await server.call(`POST ${MESSAGES}`, { data: 1, key: "k" }, header);
    expect(read(PublishedSchema, both).duplicate).toBe(true);
    expect((await publish(server, 1)).offset).toBe(2);
  });

  test("is refused in the words of the catalogue where something is wrong with it", async () => {
    await using server = await startServer();
    const target = `POST ${MESSAGES}`;
    await expectRefused(server, {
      "no data": { target, body: {}, status: 400, code: "invalid_request" },
      "an unknown field": {
        target,
        body: { data: 1, from: "ana" },
        status: 400,
        code: "invalid_request",
      },
      "too large": {
        target,
        body: { data: "x".repeat(40_000) },
        status: 413,
        code: "too_large",
      },
      "two keys": {
        target,
        body: { data: 1, key: "a" },
        headers: { "idempotency-key": "b" },
        status: 400,
        code: "invalid_request",
      },
      "no name of a room": {
        target: "POST /api/v1/rooms/a%20b/messages",
        body: { data: 1 },
        status: 400,
        code: "invalid_request",
      },
      "both directions": {
        target: `GET ${MESSAGES}?after=1&before=3`,
        status: 400,
        code: "invalid_request",
      },
      "a page that is too long": {
        target: `GET ${MESSAGES}?limit=301`,
        status: 400,
        code: "invalid_request",
      },
      "an offset that is none": {
        target: `GET ${MESSAGES}?after=x`,
        status: 400,
        code: "invalid_request",
      },
      "a room that is not there": {
        target: "DELETE /api/v1/rooms/none",
        status: 404,
        code: "room_not_found",
      },
    });
  });
});

describe("a room over HTTP", () => {
  test("is configured, listed, and forgets its past", async () => {
    await using server = await startServer();
    const target = "/api/v1/rooms/sports:f1.live";
    const put = await server.call(`PUT ${target}`, { history_messages: 5 });
    expect(read(RoomSchema, put)).toEqual({
      name: "sports:f1.live",
      head: 0,
      history_messages: 5,
      history_seconds: 86_400,
    });
    await publish(server, 1, "sports:f1.live");
    expect(read(RoomSchema, await server.call(`GET ${target}`)).head).toBe(1);
    for (const room of ["a", "b"]) await publish(server, 1, room);
    const pages = await readPages(server, RoomSchema, "GET /api/v1/rooms?limit=2");
    expect(pages.map((page) => page.map(({ name }) => name))).toEqual([
      ["a", "b"],
      ["sports:f1.live"],
    ]);
    expect((await server.call(`DELETE ${target}`)).status).toBe(204);
    const left = read(pageOf(RoomSchema), await server.call("GET /api/v1/rooms"));
    expect(left.items.map(({ name }) => name)).toEqual(["a", "b"]);
    expect((await publish(server, 2, "sports:f1.live")).offset).toBe(2);
    const presence = read(PresenceSchema, await server.call(`GET ${target}/presence`));
    expect(presence).toEqual({ room: "sports:f1.live", count: 0, members: [] });
  });
});

describe("events of a room", () => {
  test("come as they are published, and after a restart from where the reader was", async () => {
    using dir = tempDir();
    const env = { DATA_DIR: dir.path };
    let id = "";
    {
      await using server = await startServer({ env });
      await publish(server, "before");
      using events = await openEvents(server, "news");
      expect(events.response.headers.get("content-type")).toStartWith("text/event-stream");
      await publish(server, { lap: 1 });
      const event = await events.next();
      expect(event.event).toBe("message");
      expect(JSON.parse(event.data)).toMatchObject({
        type: "message",
        sub: "r:news",
        offset: 2,
        data: { lap: 1 },
      });
      ({ id } = event);
      expect(id).toEndWith(":2");
      // They end with the server, which did not wait for them.
      const stopped = server.stop();
      expect(await events.ended()).toBe(true);
      expect(await stopped).toBe(true);
    }
    await using server = await startServer({ env });
    await publish(server, "missed");
    using events = await openEvents(server, "news", { "last-event-id": id });
    expect(JSON.parse((await events.next()).data)).toMatchObject({ offset: 3, data: "missed" });
    await publish(server, "live");
    expect(JSON.parse((await events.next()).data)).toMatchObject({ offset: 4, data: "live" });
  });

  test("begin with the last ones, or after a position in the address", async () => {
    await using server = await startServer();
    for (let lap = 1; lap <= 5; lap++) await publish(server, lap);
    using last = await openEvents(server, "news?history=2");
    const ids = [await last.next(), await last.next()].map(({ id }) => id);
    expect(ids.map((id) => id.split(":")[1])).toEqual(["4", "5"]);
    using after = await openEvents(server, `news?since=${ids[0] ?? ""}`);
    expect((await after.next()).id).toBe(ids[1] ?? "");
  });

  test("tell a reader that it has lost some, and go on from there", async () => {
    await using server = await startServer();
    await server.call("PUT /api/v1/rooms/news", { history_messages: 2 });
    for (let lap = 1; lap <= 5; lap++) await publish(server, lap);
    using first = await openEvents(server, "news?history=1");
    const [epoch = ""] = (await first.next()).id.split(":");
    for (const [id, reason] of [
      [`${epoch}:1`, "too_old"],
      [`${epoch}:9`, "ahead"],
      ["another:3", "epoch_changed"],
      ["what is no id of ours", "epoch_changed"],
    ] as const) {
      using events = await openEvents(server, "news", { "last-event-id": id });
      const lost = await events.next();
      expect(lost.event).toBe("lost");
      expect(shaped(LostEventSchema, JSON.parse(lost.data))).toMatchObject({ reason, epoch });
      await publish(server, "next");
      expect((await events.next()).event).toBe("message");
    }
  });

  test("give a reader its position before anything is published", async () => {
    await using server = await startServer();
    await publish(server, 1);
    let id = "";
    {
      using events = await openEvents(server, "news");
      id = (await events.begun()).id;
    }
    await publish(server, 2);
    using events = await openEvents(server, "news", { "last-event-id": id });
    expect(JSON.parse((await events.next()).data).data).toBe(2);
  });

  test("are the same for every reader, and none comes twice or is left out", async () => {
    await using server = await startServer();
    const open = () => openEvents(server, "news?history=1000");
    const sending = Array.from({ length: 60 }, (_, lap) => publish(server, lap));
    const readers = await Promise.all(Array.from({ length: 8 }, open));
    await Promise.all(sending);
    const wanted = Array.from({ length: 60 }, (_, at) => at + 1);
    for (const reader of readers) {
      const offsets: number[] = [];
      while (offsets.length < 60) offsets.push(JSON.parse((await reader.next()).data).offset);
      const [first = 0] = offsets;
      expect(offsets).toEqual(wanted.map((offset) => offset + first - 1));
      expect(first).toBe(1);
      reader[Symbol.dispose]();
    }
  });

  test("are refused for what is no name of a room", async () => {
    await using server = await startServer();
    await expectRefused(server, {
      "no name": {
        target: "GET /api/v1/rooms/a%20b/events",
        status: 400,
        code: "invalid_request",
      },
    });
  });

  test("to HEAD have their headers and no body", async () => {
    await using server = await startServer();
    const answer = await server.call("HEAD /api/v1/rooms/news/events");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
    expect(answer.text).toBe("");
  });

  test("a reader that does not read is cut off, and the room goes on for the others", async () => {
    await using server = await startServer();
    await server.call("PUT /api/v1/rooms/news", { history_messages: 0 });
    using stalled = await openRaw(server.url);
    stalled.pause();
    stalled.write("GET /api/v1/rooms/news/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    using healthy = await openEvents(server, "news");
    const data = "x".repeat(30_000);
    // What the system's buffers hold comes first.
    for (let sent = 0; sent < 600; sent++) {
      await publish(server, data);
      expect(JSON.parse((await healthy.next()).data).offset).toBe(sent + 1);
    }
    stalled.resume();
    const text = await stalled.until("\r\n0\r\n\r\n");
    const offsets = [...text.matchAll(/^id: [^:]+:(\d+)$/gm)].map(([, offset]) => Number(offset));
    expect(offsets.slice(1)).toEqual(offsets.slice(1).map((_, at) => at + 1));
    expect(offsets.length).toBeLessThan(600);
  }, 20_000);
});
