import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { createCollectionReads } from "../../../src/collections/collections.ts";
import type { SearchRequest } from "../../../src/contract/search.ts";
import type { EngineRequest } from "../../../src/engine/calls.ts";
import { createInThreadSearch } from "../../../src/http/in-thread-search.ts";
import { encodeUtf8 } from "../../../src/lib/text.ts";
import { createSearch } from "../../../src/search/search.ts";
import { eventually } from "../../support/process.ts";
import { openInThread } from "../engine/in-thread-world.ts";
import { numbered } from "../engine/world.ts";

/** A collection of 50 documents that the thread searches. */
async function openSearch() {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await openInThread(50));
  const { store, owner, here } = world;
  await world.opened();
  const collections = createCollectionReads(store);
  const search = createSearch({ store, engine: here.engine, kDefault: 10 });
  const state = { isIdle: true };
  const inThread = createInThreadSearch({
    engine: here,
    collections,
    search,
    isIdle: () => state.isIdle,
  });
  const owned = stack.move();
  return {
    state,
    world,
    ask: (body: unknown) => Promise.resolve(inThread(asked(body))),
    /** As the engines search. */
    elsewhere: createSearch({ store, engine: owner, kDefault: 10 }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function asked(body: unknown): EngineRequest {
  return {
    method: "POST",
    target: "/api/v1/collections/world/search",
    contentType: "application/json",
    body: encodeUtf8(JSON.stringify(body)),
    requestId: "1",
  };
}

const vector = [...(numbered(7).vector ?? [])];

/** What a search waits for before the next one counts as having come by itself. */
const twoTurns = async (): Promise<void> => {
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
};

describe("a search in the server's thread", () => {
  test("gives the same answer as an engine", async () => {
    await using one = await openSearch();
    const request = { vector, k: 5 };
    const found = await one.ask(request);
    const expected = await one.elsewhere.search(one.world.collection, request);
    expect(found).toEqual({ ...expected, took_ms: expect.any(Number) });
    expect(found?.hits.map(({ id }) => id)).toContain("d7");
    await twoTurns();
    const encoded = Buffer.from(new Float32Array(vector).buffer).toString("base64");
    const paged: SearchRequest = {
      vector: encoded,
      k: 3,
      offset: 2,
      fields: [],
      group_by: "chunk",
    };
    // Eight numbers in base64 are less than what is looked at.
    const page = await one.ask({ ...paged, mode: "semantic", min_score: -0.999_999_999_999_999 });
    expect(page?.hits).toEqual((await one.elsewhere.search(one.world.collection, paged)).hits);
    expect(page?.hits).toHaveLength(3);
  });

  test.each([
    ["words", { vector, query: "common" }],
    ["words alone", { query: "common ".repeat(30) }],
    ["a filter", { vector, filter: { lap: 1 } }],
    ["facets", { vector, facets: ["lap"] }],
    ["an explanation", { vector, explain: true }],
    ["another mode", { vector, mode: "hybrid", query: "common" }],
    ["a wrong vector", { vector: [...vector, 1] }],
    ["an unknown field", { vector, vectors: 1 }],
    ["a large body", { vector, note: "x".repeat(70_000) }],
  ])("is left to the engines with %s", async (_what, body) => {
    await using one = await openSearch();
    expect(await one.ask(body)).toBeUndefined();
  });

  test("is left to the engines where the collection is not known or was just written to", async () => {
    await using one = await openSearch();
    await one.world.write(50, 51);
    expect(await one.ask({ vector })).toBeUndefined();
    await one.world.opened();
    expect((await one.ask({ vector }))?.hits).toHaveLength(10);
  });

  test("is left to the engines while they have something to do, and for a moment after", async () => {
    await using one = await openSearch();
    one.state.isIdle = false;
    expect(await one.ask({ vector })).toBeUndefined();
    one.state.isIdle = true;
    expect(await one.ask({ vector })).toBeUndefined();
    const found = await eventually("the moment is over", () => one.ask({ vector }));
    expect(found.hits).toHaveLength(10);
  });

  test("is left to the engines where it fails here by a fault of ours, and the collection is let go of", async () => {
    await using one = await openSearch();
    const { folder, collection, here } = one.world;
    expect(await one.ask({ vector })).toBeDefined();
    await twoTurns();
    // What it finds can no more be read.
    using database = new Database(join(dirname(folder), "slipstream.db"));
    database.run("ALTER TABLE documents RENAME TO elsewhere");
    const other = numbered(9).vector;
    expect(await one.ask({ vector: [...(other ?? [])] })).toBeUndefined();
    expect(here.isOpen(collection)).toBe(false);
  });

  test("is left to the engines where several clients wait for each other's", async () => {
    await using one = await openSearch();
    const answered: boolean[] = [];
    // Each comes as soon as the one before has ended, before the event loop has turned.
    for (let time = 0; time < 5; time++) answered.push((await one.ask({ vector })) !== undefined);
    expect(answered).toEqual([true, true, true, false, false]);
  });

  test("goes on here for a client that comes by itself", async () => {
    await using one = await openSearch();
    for (let time = 0; time < 8; time++) {
      expect(await one.ask({ vector })).toBeDefined();
      await twoTurns();
    }
  });
});
