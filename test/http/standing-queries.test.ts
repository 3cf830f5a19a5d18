import { describe, expect, test } from "bun:test";
import { LostEventSchema } from "../../src/contract/rooms.ts";
import {
  CreatedStandingQuerySchema,
  MatchesSchema,
  StandingQuerySchema,
} from "../../src/contract/standing-queries.ts";
import type { ProblemCode } from "../../src/problems.ts";
import { eventually } from "../support/process.ts";
import { shaped, startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { startReceiver } from "../support/webhook-receiver.ts";
import { expectRefused, read, readPages } from "./answers.ts";
import { openEventsAt } from "./event-client.ts";

const QUERIES = "/api/v1/standing-queries";
const QUERY = { collection: "news", text: "ferry", mode: "keyword" };
const PRIVATE = { WEBHOOK_PRIVATE_ADDRESSES: "true" };

async function makeCollection(server: TestServer): Promise<void> {
  const body = { name: "news", model: "static-256" };
  expect((await server.call("POST /api/v1/collections", body)).status).toBe(201);
}

async function create(server: TestServer, query: object = {}) {
  const answer = await server.call(`POST ${QUERIES}`, { ...QUERY, ...query });
  expect(answer.status).toBe(201);
  return read(CreatedStandingQuerySchema, answer);
}

async function put(server: TestServer, id: string, text = "The ferry is late"): Promise<void> {
  const body = { documents: [{ id, title: `About ${id}`, text }] };
  const answer = await server.call("POST /api/v1/collections/news/documents", body);
  expect(answer.status).toBeLessThan(300);
}

const get = async (server: TestServer, id: string) =>
  read(StandingQuerySchema, await server.call(`GET ${QUERIES}/${id}`));

const matches = async (server: TestServer, id: string, query = "") =>
  read(MatchesSchema, await server.call(`GET ${QUERIES}/${id}/matches${query}`));

/** Resolves with the answer once it has so many matches: they are found a moment after the commit. */
const matched = (server: TestServer, id: string, count: number) =>
  eventually(`${count} matches are found`, async () => {
    const page = await matches(server, id);
    return page.items.length >= count ? page : undefined;
  });

/** A query that is refused for what is different in it. */
const refused = (rest: object, code: ProblemCode = "invalid_request", status = 400) => ({
  target: `POST ${QUERIES}`,
  body: { ...QUERY, ...rest },
  status,
  code,
});

describe("a stored standing query", () => {
  test("is made, shown, listed and removed", async () => {
    await using server = await startServer();
    await makeCollection(server);
    const alias = await server.call("PUT /api/v1/aliases/latest", { collection: "news" });
    expect(alias.status).toBeLessThan(300);
    const filter = { year: 2026 };
    const made = await create(server, { collection: "latest", text: "  ferry\n delays ", filter });
    expect(made).toMatchObject({
      collection: "news",
      text: "ferry delays",
      mode: "keyword",
      min_score: 1,
      filter,
      on: ["insert", "update"],
      fields: ["metadata", "title"],
      offset: 0,
      error: null,
      webhook: null,
    });
    expect(made.id).toMatch(/^sq_[\w-]{36}$/);
    expect(made.stream).toMatch(/^q:[\w-]{22}$/);
    expect(await get(server, made.id)).toEqual({ ...made, webhook: null });
    const hybrid = { mode: "hybrid", min_score: 0.4, on: ["leave", "insert"], fields: ["text"] };
    const others = [await create(server, hybrid), await create(server)];
    const pages = await readPages(server, StandingQuerySchema, `GET ${QUERIES}?limit=2`);
    expect(pages.map((page) => page.map(({ id }) => id))).toEqual([
      [made.id, others[0]?.id ?? ""],
      [others[1]?.id ?? ""],
    ]);
    expect((await server.call(`DELETE ${QUERIES}/${made.id}`)).status).toBe(204);
    const target = `${QUERIES}/${made.id}`;
    const gone = { status: 404, code: "standing_query_not_found" as const };
    await expectRefused(server, {
      "shown when it is gone": { target: `GET ${target}`, ...gone },
      "removed twice": { target: `DELETE ${target}`, ...gone },
      "read when it is gone": { target: `GET ${target}/matches`, ...gone },
      "heard when it is gone": { target: `GET ${target}/events`, ...gone },
    });
  });

  test("is refused in the words of the catalogue where something is wrong with it", async () => {
    await using server = await startServer();
    await makeCollection(server);
    const url = "https://example.com/hook";
    await expectRefused(server, {
      "an unknown field": refused({ name: "x" }),
      "no such collection": refused({ collection: "none" }, "collection_not_found", 404),
      "no threshold": refused({ mode: "semantic" }),
      "a mode that is none": refused({ mode: "fuzzy" }),
      "a filter that is none": refused({ filter: { year: { $near: 1 } } }, "invalid_filter"),
      "no words": refused({ text: "  " }, "empty_text"),
      "a webhook by http": refused({ webhook: { url: "http://example.com/hook" } }),
      "a webhook within": refused({ webhook: { url: "https://169.254.169.254/" } }),
      "a webhook that is none": refused({ webhook: { url: "hook" } }),
      "a secret that is none": refused({ webhook: { url, secret: "whsec_c2hvcnQ=" } }),
      "a webhook with more": refused({ webhook: { url, method: "GET" } }),
      "a filter that is too large": refused(
        { filter: { tag: { $in: Array.from({ length: 900 }, (_, n) => `${n}`.repeat(40)) } } },
        "too_large",
        413,
      ),
    });
  });
});

describe("matches of a stored query over HTTP", () => {
  test("are read from where the reader was, after a restart too", async () => {
    using dir = tempDir();
    const env = { DATA_DIR: dir.path };
    let id = "";
    let next = "";
    {
      await using server = await startServer({ env });
      await makeCollection(server);
      await put(server, "before");
      ({ id } = await create(server));
      for (const doc of ["a", "b", "c"]) await put(server, doc);
      await put(server, "other", "The train is late");
      const all = await matched(server, id, 3);
      expect(all.items.map(({ doc, event }) => `${doc} ${event}`)).toEqual([
        "a insert",
        "b insert",
        "c insert",
      ]);
      expect(all.items[0]).toMatchObject({ score: 1, data: { title: "About a", metadata: {} } });
      const first = await matches(server, id, "?limit=2");
      expect({ count: first.items.length, more: first.more }).toEqual({ count: 2, more: true });
      const rest = await matches(server, id, `?since=${first.next}`);
      expect(rest.items.map(({ doc }) => doc)).toEqual(["c"]);
      expect(rest.more).toBe(false);
      ({ next } = await eventually("all are matched", async () => {
        const page = await matches(server, id, `?since=${rest.next}`);
        return page.next.endsWith(":5") ? page : undefined;
      }));
    }
    await using server = await startServer({ env });
    await put(server, "d");
    const page = await eventually("it is found", async () => {
      const answer = await server.call(`GET ${QUERIES}/${id}/matches?since=${next}`);
      // It is being opened after the start.
      if (answer.status === 503) return undefined;
      const found = read(MatchesSchema, answer);
      return found.items.length > 0 ? found : undefined;
    });
    expect(page.items.map(({ doc }) => doc)).toEqual(["d"]);
    const lost = await matches(server, id, "?since=another:3");
    expect(lost).toMatchObject({ items: [], more: false, lost: "epoch_changed" });
    expect(lost.next).toEndWith(":6");
  });

  test("come as events, and after a lost connection from where the reader was", async () => {
    await using server = await startServer();
    await makeCollection(server);
    const { id, stream } = await create(server);
    const path = `${QUERIES}/${id}/events`;
    using events = await openEventsAt(server, path);
    expect(events.response.headers.get("content-type")).toStartWith("text/event-stream");
    await put(server, "a");
    const first = await events.next();
    expect(first.event).toBe("match");
    expect(JSON.parse(first.data)).toMatchObject({ type: "match", sub: stream, doc: "a" });
    expect(first.id).toEndWith(":1");
    events[Symbol.dispose]();
    await put(server, "other", "The train is late");
    for (const doc of ["b", "c"]) await put(server, doc);
    using resumed = await openEventsAt(server, path, { "last-event-id": first.id });
    await put(server, "d");
    const rest = [await resumed.next(), await resumed.next(), await resumed.next()];
    expect(rest.map(({ data, id: position }) => [JSON.parse(data).doc, position])).toEqual(
      [3, 4, 5].map((offset) => [
        "xxxbcd"[offset],
        `${first.id.slice(0, first.id.indexOf(":"))}:${offset}`,
      ]),
    );
    using lost = await openEventsAt(server, `${path}?since=nonsense`);
    const event = await lost.next();
    expect(event.event).toBe("lost");
    expect(shaped(LostEventSchema, JSON.parse(event.data)).reason).toBe("epoch_changed");
    expect((await server.call(`DELETE ${QUERIES}/${id}`)).status).toBe(204);
    expect(await resumed.ended()).toBe(true);
  });
});

describe("a webhook over HTTP", () => {
  test("is sent what matches, with its secret shown once", async () => {
    await using receiver = startReceiver();
    await using server = await startServer({ env: { ...PRIVATE, LOG_LEVEL: "debug" } });
    await makeCollection(server);
    const semantic = { mode: "semantic", min_score: 0.2, text: "boats that are late" };
    const { id, webhook } = await create(server, { ...semantic, webhook: { url: receiver.url } });
    const secret = webhook?.secret ?? "";
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    receiver.trust(id, secret);
    await put(server, "a");
    await eventually("it has come", () => receiver.taken()[0]);
    expect(receiver.requests[0]).toMatchObject({
      type: "standing_query.matched",
      queryId: id,
      matches: [{ doc: "a", event: "insert" }],
    });
    const shown = await eventually("it is settled", async () => {
      const details = await get(server, id);
      return details.webhook?.delivered === 1 ? details.webhook : undefined;
    });
    expect(shown).toEqual({
      url: receiver.url,
      offset: 1,
      waiting: 0,
      delivered: 1,
      given_up: 0,
      disabled_at: null,
      last_error: null,
    });
    const list = await server.call(`GET ${QUERIES}`);
    const log = await server.log();
    expect(log).toContain("webhook.delivered");
    for (const text of [list.text, log]) expect(text).not.toContain(secret);
  });

  test("may have its own secret, and says why it failed", async () => {
    await using receiver = startReceiver();
    await using server = await startServer({ env: PRIVATE });
    await makeCollection(server);
    const secret = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
    const { id, webhook } = await create(server, { webhook: { url: receiver.url, secret } });
    expect(webhook?.secret).toBe(secret);
    // The receiver knows another one.
    receiver.trust(id, `whsec_${Buffer.alloc(24, 2).toString("base64")}`);
    await put(server, "a");
    const failed = await eventually("the failure is shown", async () => {
      const details = await get(server, id);
      return details.webhook?.last_error ?? undefined;
    });
    expect(failed.message).toBe("it answered 401");
    expect(receiver.taken()).toEqual([]);
    expect(receiver.wrongSignatures).toBeGreaterThan(0);
  });
});
