import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { endsWithin } from "../../src/lib/within.ts";
import { jobEnded, jobIn, jobOf } from "../support/jobs.ts";
import { embeddedByOtherWeights } from "../support/other-weights.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import {
  createRules,
  expectProblem,
  idsOf,
  readCollection,
  readSearch,
  writeRules,
} from "./answers.ts";

const SEARCH = "POST /api/v1/collections/rules/search";
const REINDEX = "/api/v1/collections/rules/reindex?embed=all";
const WORDS = ["flag", "tyre", "rain", "engine", "pit", "lap", "driver", "steward", "fuel", "grid"];

/** Texts that are told apart by words and by meaning. */
const textOf = (number: number): string =>
  [0, 1, 2, 3].map((place) => WORDS[Math.floor(number / 10 ** place) % 10]).join(" and ") +
  ` number${number}`;

const documentsOf = (count: number) =>
  Array.from({ length: count }, (_, number) => ({ id: `d${number}`, text: textOf(number) }));

const QUERIES = [7, 123, 456, 598].map((number) => `what of ${textOf(number).slice(0, 20)}`);

/** Hits by meaning with their scores, for each of the queries. */
async function byMeaning(server: TestServer) {
  const found = [];
  for (const query of QUERIES) {
    const answer = await server.call(SEARCH, { query, mode: "semantic", k: 20 });
    found.push(readSearch(answer).hits.map(({ id, score }) => [id, score.toFixed(5)]));
  }
  return found;
}

const wait = (server: TestServer) =>
  server.call("POST /api/v1/collections/rules/documents?wait=indexed", {
    documents: [{ id: "last", text: "pistachio" }],
  });

const again = async (server: TestServer) =>
  jobOf(await fetch(server.url + REINDEX, { method: "POST" }));

/** A server over documents that other weights have embedded, and what a collection that was not gives. */
async function openWorld(count: number, env: Record<string, string> = {}) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const settings = { DATA_DIR: join(dir.path, "data"), ...env };
  const first = stack.use(await startServer({ env: settings }));
  await createRules(first);
  await writeRules(first, documentsOf(count));
  await wait(first);
  const fresh = await byMeaning(first);
  await first.stop();
  embeddedByOtherWeights(settings.DATA_DIR);
  const server = stack.use(await startServer({ env: settings }));
  const owned = stack.move();
  return { server, fresh, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe.each(["0", "2"])("a collection of other weights, with %s engines", (engines) => {
  test("is refused by meaning until it is embedded again, and then answers as one that is new", async () => {
    await using world = await openWorld(600, { ENGINES: engines, INDEX_SEAL_ROWS: "100" });
    const { server, fresh } = world;
    const matches = async () =>
      readCollection(await server.call("GET /api/v1/collections/rules")).weights_match;
    expect(await matches()).toBe(false);
    for (const mode of ["semantic", "hybrid"]) {
      const refused = await server.call(SEARCH, { query: "rain", mode });
      const { detail } = expectProblem(refused, 409, "model_mismatch");
      expect(detail).toContain("POST /api/v1/collections/rules/reindex?embed=all");
    }
    expect(idsOf(await server.call(SEARCH, { query: "number7", mode: "keyword" }))).toEqual(["d7"]);

    const { id } = await again(server);
    // Each document is found by its words at any moment, and those written meanwhile are taken.
    const ending = jobEnded(server.url, id);
    let searches = 0;
    await writeRules(server, [{ id: "between", text: "marmalade" }]);
    while (!(await endsWithin(0, ending))) {
      const number = (searches++ * 37) % 600;
      const query = { query: `number${number}`, mode: "keyword" };
      expect(idsOf(await server.call(SEARCH, query))).toEqual([`d${number}`]);
      // A word of all documents: pages of hits are whole too.
      const many = await server.call(SEARCH, { query: "flag", mode: "keyword", k: 50 });
      expect(idsOf(many)).toHaveLength(50);
    }
    expect(await ending).toMatchObject({
      state: "succeeded",
      progress: { unit: "chunks" },
      result: { problems: [] },
    });
    expect(searches).toBeGreaterThan(0);
    expect(await matches()).toBe(true);

    await wait(server);
    await server.call("POST /api/v1/collections/rules/documents/delete", { ids: ["between"] });
    // Engines take turns: each is asked several times.
    for (let turn = 0; turn < 3; turn++) expect(await byMeaning(server)).toEqual(fresh);
    expect((await server.call("POST /api/v1/admin/verify")).json).toMatchObject({ ok: true });
    expect(await server.log()).not.toContain("index.follow_failed");
  }, 60_000);
});

test("a job that is cancelled in the middle leaves what the next one goes on with", async () => {
  await using world = await openWorld(3000);
  const { server, fresh } = world;
  const first = await again(server);
  await jobIn(server.url, first.id, ["running"]);
  await server.call(`POST /api/v1/jobs/${first.id}/cancel`);
  const cancelled = await jobEnded(server.url, first.id);
  expect(cancelled.state).toBe("cancelled");
  const refused = await server.call(SEARCH, { query: "rain", mode: "semantic" });
  expectProblem(refused, 409, "model_mismatch");
  expect(idsOf(await server.call(SEARCH, { query: "number7", mode: "keyword" }))).toEqual(["d7"]);
  const second = await again(server);
  expect(await jobEnded(server.url, second.id)).toMatchObject({
    state: "succeeded",
    progress: { done: 3001 - cancelled.progress.done, total: 3001 - cancelled.progress.done },
  });
  expect(await byMeaning(server)).toEqual(fresh);
}, 60_000);

test("a collection without a model, and a way to embed that is none, are refused", async () => {
  await using server = await startServer();
  await server.call("POST /api/v1/collections", { name: "rules", model: "none", dimensions: 2 });
  expectProblem(await server.call(`POST ${REINDEX}`), 400, "vector_required");
  const target = "POST /api/v1/collections/rules/reindex?embed=some";
  expectProblem(await server.call(target), 400, "invalid_request");
});
