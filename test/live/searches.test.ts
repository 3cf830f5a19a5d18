import { describe, expect, test } from "bun:test";
import { LIVE_FRAMES } from "../../src/contract/live.ts";
import type { SearchRequest, SearchResult } from "../../src/contract/search.ts";
import { createRules, writeRules } from "../http/answers.ts";
import { shaped, startServer } from "../support/server.ts";
import { openEdge } from "./edge.ts";
import { FAST, openRawClient, type RawClient } from "./raw-client.ts";

/** A search that has begun, and ends when the test says so. */
interface Begun {
  request: SearchRequest;
  finish(): void;
  fail(error: Error): void;
}

const NOTHING: SearchResult = { hits: [], took_ms: 1, model: "none", sequence: 1 };

/** The edge with a search that the test holds in its hand. */
async function openHeld() {
  const begun: Begun[] = [];
  const edge = await openEdge({
    features: (real) => ({
      ...real,
      search(_collection, request) {
        const { promise, resolve, reject } = Promise.withResolvers<SearchResult>();
        begun.push({ request, finish: () => resolve(NOTHING), fail: reject });
        return promise;
      },
    }),
  });
  return { edge, begun };
}

/** Nearly as large as an answer may be. */
const LARGE: SearchResult = {
  ...NOTHING,
  hits: [{ id: "large", score: 1, highlights: [], text: "x".repeat(200_000) }],
};

const search = (id: string, more: Record<string, unknown> = {}) => ({
  type: "search",
  id,
  collection: "rules",
  query: `words of ${id}`,
  ...more,
});

/** Everything that has been sent up to now. */
async function told(client: RawClient): Promise<string[]> {
  await client.ask({ type: "ping", id: crypto.randomUUID() });
  return ["results", "cancelled", "error"]
    .flatMap((type) => client.all(type))
    .map(({ type, id, part, by, code }) =>
      [type, id, part ?? by ?? code].filter((one) => typeof one === "string").join(" "),
    );
}

describe("searches of a stream", () => {
  test("run one at a time, and of those that wait only the newest is run", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    for (const id of ["a", "b", "c"]) client.send(search(id, { stream: "box" }));
    expect(await told(client)).toEqual(["cancelled a b", "cancelled b c"]);
    expect(begun.map(({ request }) => request.query)).toEqual(["words of a"]);
    begun[0]?.finish();
    await client.ask({ type: "ping", id: "turn" });
    expect(begun.map(({ request }) => request.query)).toEqual(["words of a", "words of c"]);
    begun[1]?.finish();
    const results = shaped(LIVE_FRAMES.results, await client.next("results"));
    expect(results).toMatchObject({ id: "c", stream: "box", part: "final", final: true });
    expect(await told(client)).toEqual([]);
  });

  test("of other streams are not touched", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    client.send(search("a", { stream: "one" }));
    client.send(search("b", { stream: "two" }));
    await told(client);
    for (const one of begun) one.finish();
    expect((await client.next("results"))["id"]).toBe("a");
    expect((await client.next("results"))["id"]).toBe("b");
  });

  test("are too many past eight at once", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    for (let index = 0; index < 9; index++)
      client.send(search(`s${index}`, { stream: `${index}` }));
    expect(await told(client)).toEqual(["error s8 rate_limited"]);
    for (const one of begun) one.finish();
    await client.take((frame) => frame.id === "s7");
    client.send(search("again", { stream: "8" }));
    await told(client);
    begun.at(-1)?.finish();
    expect(await client.next("results")).toBeDefined();
  });

  test("that fail say so, and the next one runs", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    client.send(search("a", { stream: "box" }));
    await told(client);
    begun[0]?.fail(new Error("a disk with our secrets is gone"));
    expect(shaped(LIVE_FRAMES.error, await client.next("error"))).toEqual({
      type: "error",
      id: "a",
      code: "internal",
      message: "Something went wrong on our side",
    });
    client.send(search("b", { stream: "box" }));
    await told(client);
    begun[1]?.finish();
    expect((await client.next("results"))["id"]).toBe("b");
    expect(edge.live.counters.failures).toBe(1);
  });

  test("begin with what words alone find where parts are asked for", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    client.send(search("a", { stream: "box", parts: true, limit: 3 }));
    await told(client);
    begun[0]?.finish();
    expect(await client.next("results")).toMatchObject({ id: "a", part: "keyword", final: false });
    begun[1]?.finish();
    expect(await client.next("results")).toMatchObject({ id: "a", part: "final", final: true });
    expect(begun.map(({ request }) => request)).toEqual([
      { query: "words of a", prefix: true, k: 3, mode: "keyword" },
      { query: "words of a", prefix: true, k: 3 },
    ]);
  });

  test("with parts stop between them when overtaken", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    client.send(search("a", { stream: "box", parts: true }));
    client.send(search("b", { stream: "box" }));
    expect(await told(client)).toEqual(["cancelled a b"]);
    begun[0]?.finish();
    await told(client);
    expect(begun.map(({ request }) => request.query)).toEqual(["words of a", "words of b"]);
    begun[1]?.finish();
    expect((await client.next("results"))["id"]).toBe("b");
  });
});

describe("searches without a stream", () => {
  test("are all answered, in their order", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    for (const id of ["a", "b", "c"]) client.send(search(id));
    for (const id of ["a", "b", "c"]) {
      await told(client);
      begun.at(-1)?.finish();
      expect((await client.next("results"))["id"]).toBe(id);
    }
    expect(begun.map(({ request }) => request.prefix)).toEqual([false, false, false]);
  });

  test("that are too many are refused", async () => {
    const { edge } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    for (let index = 0; index < 34; index++) client.send(search(`s${index}`));
    expect(await told(client)).toEqual(["error s33 rate_limited"]);
  });
});

describe("a cancelled search", () => {
  test("that waits is never run, one that runs is not sent", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    for (const id of ["a", "b", "c"]) client.send(search(id));
    client.send({ type: "cancel", id: "x", target: "b" });
    client.send({ type: "cancel", target: "a" });
    client.send({ type: "cancel", id: "y", target: "a" });
    expect(await told(client)).toEqual([
      "cancelled b x",
      "cancelled x",
      "cancelled a",
      "error y not_found",
    ]);
    begun[0]?.finish();
    await told(client);
    begun[1]?.finish();
    expect((await client.next("results"))["id"]).toBe("c");
    expect(begun.map(({ request }) => request.query)).toEqual(["words of a", "words of c"]);
  });

  test("of a client that has gone is not waited for", async () => {
    const { edge, begun } = await openHeld();
    await using _edge = edge;
    using client = await openRawClient(edge.url);
    for (const id of ["a", "b"]) client.send(search(id));
    await told(client);
    client.drop();
    using other = await openRawClient(edge.url);
    await other.until(() => edge.live.counters.connections === 1);
    begun[0]?.finish();
    expect(await edge.live.drain.idle(1000)).toBe(true);
    expect(begun.length).toBe(1);
  });
});

describe("a client that does not read", () => {
  test("gets its answers when it does, and is not cut because they come at once", async () => {
    await using edge = await openEdge({
      env: FAST,
      features: (real) => ({ ...real, search: () => Promise.resolve(LARGE) }),
    });
    using client = await openRawClient(edge.url);
    await client.next("welcome");
    client.pause();
    const line = Array.from({ length: 33 }, (_, index) => `line ${index}`);
    for (const id of line) client.send(search(id));
    // As many as may run beside those; the system takes some six megabytes before all wait together.
    const beside = Array.from({ length: 7 }, (_, index) => `beside ${index}`);
    for (const id of beside) client.send(search(id, { stream: id }));
    using other = await openRawClient(edge.url);
    await other.until(() => edge.live.counters.framesIn > line.length + beside.length + 20);
    const answered = edge.live.counters.framesOut;
    client.resume();
    for (const id of [...line, ...beside])
      await client.take((frame) => frame.id === id && frame.type === "results");
    expect(edge.live.counters.framesOut).toBeGreaterThan(answered);
    expect(edge.live.counters.connectionsLost).toBe(0);
  });
});

describe("search as you type over real documents", () => {
  test("answers the last of twenty keystrokes, and none after a newer one", async () => {
    await using server = await startServer({ env: FAST });
    await createRules(server);
    await writeRules(server, [
      { id: "red", text: "The red flag stops the race." },
      { id: "safety", text: "The safety car leads the field slowly." },
      { id: "pit", text: "The pit lane is closed during a red flag." },
    ]);
    using client = await openRawClient(server.url);
    const typed = "safety car is leading";
    const keystrokes = Array.from({ length: 20 }, (_, index) => typed.slice(0, index + 2));
    const started = performance.now();
    for (const [index, query] of keystrokes.entries()) {
      client.send(
        search(`k${index}`, { stream: "box", query, parts: true, limit: 2, fields: ["title"] }),
      );
      // A person's pace, as the clock goes; what is answered meanwhile is answered.
      await client.until(() => performance.now() - started >= (index + 1) * 10);
    }
    const last = await client.take(
      ({ type, id, final }) => type === "results" && id === "k19" && final === true,
    );
    expect(shaped(LIVE_FRAMES.results, last).hits[0]?.id).toBe("safety");
    const answered = client.all("results").map(({ id }) => Number(id?.slice(1)));
    expect(answered).toEqual(answered.toSorted((a, b) => a - b));
    expect(answered.at(-1)).toBe(19);
    expect(client.all("error")).toEqual([]);
  });

  test("refuses hits that are larger than a frame, and says what to do", async () => {
    await using server = await startServer();
    await createRules(server);
    const filler = "flag ".repeat(12_000);
    await writeRules(
      server,
      Array.from({ length: 6 }, (_, index) => ({
        id: `d${index}`,
        text: "flag",
        metadata: { filler },
      })),
    );
    using client = await openRawClient(server.url);
    const asked = search("big", { query: "flag", mode: "keyword" });
    expect(await client.ask(asked)).toMatchObject({
      type: "error",
      code: "too_large",
      problem: "too_large",
    });
    const fewer = await client.ask({ ...asked, id: "few", fields: ["title"] });
    expect(shaped(LIVE_FRAMES.results, fewer).hits.length).toBe(6);
  });
});
