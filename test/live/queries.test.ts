import { describe, expect, test } from "bun:test";
import { LIVE_FRAMES } from "../../src/contract/live.ts";
import { Problem } from "../../src/problems.ts";
import type { FrameListener, LiveStream } from "../../src/rooms/stream.ts";
import type { StandingQueryDefinition } from "../../src/standing-queries/standing-queries.ts";
import { createRules, writeRules } from "../http/answers.ts";
import { shaped, startServer } from "../support/server.ts";
import { openEdge } from "./edge.ts";
import { openRawClient } from "./raw-client.ts";

/** Standing queries whose matches the test makes; their offsets have holes, as the change numbers of documents do. */
class HandMadeQueries {
  readonly opened: StandingQueryDefinition[] = [];
  released = 0;
  readonly #listeners: FrameListener[] = [];
  readonly #past: { offset: number; frame: string }[] = [];
  #head = 0;

  match(offset: number): void {
    const sub = "q:1";
    const frame = JSON.stringify({
      type: "match",
      sub,
      offset,
      doc: `d${offset}`,
      version: 1,
      event: "insert",
      score: 1,
    });
    this.#past.push({ offset, frame });
    this.#head = offset;
    for (const listener of this.#listeners) listener(sub, frame, offset);
  }

  open = async (definition: StandingQueryDefinition) => {
    if (definition.text === "none") throw new Problem("limit_reached", "There are enough queries.");
    this.opened.push(definition);
    return {
      stream: this.#stream,
      minScore: 0.5,
      model: "static-256",
      release: () => void this.released++,
    };
  };

  listen = (listener: FrameListener): void => void this.#listeners.push(listener);

  listenEnds = (): void => {};

  readonly #stream: LiveStream = {
    sub: "q:1",
    head: () => this.#head,
    resume: async ({ since }) => {
      if (since?.epoch === "broken") throw new Problem("not_ready", "The index is being read.");
      const after = since?.offset ?? this.#head;
      const recovered = since !== undefined;
      return { epoch: "e", offset: this.#head, recovered, after, replay: this.#head - after };
    },
    read: async ({ after, upTo }) => {
      const frames = this.#past.filter(({ offset }) => offset > after && offset <= upTo);
      return { frames: frames.map(({ frame }) => frame), upTo };
    },
  };
}

const query = { text: "red flag", collection: "rules", mode: "semantic", min_score: 0.5 };

async function openWithQueries() {
  const queries = new HandMadeQueries();
  const edge = await openEdge({ features: (real) => ({ ...real, queries }) });
  return { queries, edge };
}

describe("a standing query", () => {
  test("tells matches to all who asked for it, and says what it goes by", async () => {
    const { queries, edge } = await openWithQueries();
    await using _edge = edge;
    using one = await openRawClient(edge.url);
    using two = await openRawClient(edge.url);
    for (const client of [one, two]) {
      const subscribed = await client.ask({ type: "subscribe", id: "q", query });
      expect(shaped(LIVE_FRAMES.subscribed, subscribed)).toMatchObject({
        sub: "q:1",
        min_score: 0.5,
        model: "static-256",
      });
      await client.next("caught_up");
    }
    queries.match(17);
    for (const client of [one, two])
      expect(shaped(LIVE_FRAMES.match, await client.next("match"))).toMatchObject({
        offset: 17,
        doc: "d17",
      });
    expect(queries.opened).toEqual([query, query].map((asked) => expect.objectContaining(asked)));
  });

  test("goes on from an offset that lies in a hole", async () => {
    const { queries, edge } = await openWithQueries();
    await using _edge = edge;
    for (const offset of [3, 9, 27]) queries.match(offset);
    using client = await openRawClient(edge.url);
    const since = { epoch: "e", offset: 5 };
    expect(await client.ask({ type: "subscribe", id: "q", query, since })).toMatchObject({
      recovered: true,
      offset: 27,
    });
    expect(await client.next("caught_up")).toMatchObject({ offset: 27 });
    expect(client.all("match").map(({ offset }) => offset)).toEqual([9, 27]);
  });

  test("is let go of once by whoever leaves, has it already, cannot have it, or is gone", async () => {
    const { queries, edge } = await openWithQueries();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    await client.ask({ type: "subscribe", id: "q", query });
    expect(await client.ask({ type: "subscribe", id: "again", query })).toMatchObject({
      code: "already_subscribed",
    });
    expect(queries.released).toBe(1);
    await client.ask({ type: "unsubscribe", id: "u", sub: "q:1" });
    expect(queries.released).toBe(2);
    const since = { epoch: "broken", offset: 1 };
    expect(await client.ask({ type: "subscribe", id: "b", query, since })).toMatchObject({
      code: "unavailable",
    });
    expect(queries.released).toBe(3);
    await client.ask({ type: "subscribe", id: "last", query });
    client.drop();
    using other = await openRawClient(edge.url);
    await other.until(() => edge.live.counters.connections === 1);
    expect(queries.released).toBe(4);
  });

  test("that is one too many for the server is refused as such", async () => {
    const { edge } = await openWithQueries();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    const refused = await client.ask({
      type: "subscribe",
      id: "q",
      query: { ...query, text: "none" },
    });
    expect(refused).toMatchObject({ code: "limit_subscriptions", problem: "limit_reached" });
  });

  test("over real documents tells of one when it is committed", async () => {
    await using server = await startServer();
    await createRules(server);
    using client = await openRawClient(server.url);
    const asked = { text: "red flag", collection: "rules", mode: "keyword" };
    const subscribed = await client.ask({ type: "subscribe", id: "q", query: asked });
    expect(subscribed).toMatchObject({ type: "subscribed", model: "static-256", min_score: 1 });
    await client.next("caught_up");
    await writeRules(server, [
      { id: "green", text: "The green flag starts the race." },
      { id: "red", text: "The red flag stops the race." },
    ]);
    const match = shaped(LIVE_FRAMES.match, await client.next("match"));
    expect(match).toMatchObject({ sub: subscribed["sub"], doc: "red", event: "insert", score: 1 });
    const nowhere = { ...asked, collection: "none" };
    const refused = await client.ask({ type: "subscribe", id: "n", query: nowhere });
    expect(refused).toMatchObject({ code: "not_found", problem: "collection_not_found" });
  });

  test("is ended for each who listens when its collection is dropped, and only then", async () => {
    await using server = await startServer();
    await createRules(server);
    using client = await openRawClient(server.url);
    using other = await openRawClient(server.url);
    const asked = { text: "red flag", collection: "rules", mode: "keyword" };
    const { sub } = await client.ask({ type: "subscribe", id: "q", query: asked });
    await other.ask({ type: "subscribe", id: "q", query: asked });
    await other.ask({ type: "subscribe", id: "r", room: "news" });
    await server.call("DELETE /api/v1/collections/rules");
    for (const each of [client, other]) {
      const ended = shaped(LIVE_FRAMES.unsubscribed, await each.next("unsubscribed"));
      expect(ended).toMatchObject({ sub, code: "not_found" });
    }
    expect(await client.ask({ type: "unsubscribe", id: "u", sub })).toMatchObject({
      code: "not_found",
    });
    await server.call("POST /api/v1/rooms/news/messages", { data: 1 });
    expect(await other.next("message")).toMatchObject({ room: "news" });
  });
});
