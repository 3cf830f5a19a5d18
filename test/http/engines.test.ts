import { describe, expect, test } from "bun:test";
import { EmbeddingsResponseSchema } from "../../src/contract/embeddings.ts";
import { StartupSchema } from "../../src/contract/health.ts";
import { startServer, type Answer } from "../support/server.ts";
import { createRules, expectProblem, read } from "./answers.ts";
import { fill, SEARCH, startEngines } from "./engine-server.ts";

interface Asked {
  target: string;
  body?: unknown;
  headers?: Record<string, string>;
}

const GOOD: Record<string, Asked> = {
  "by words": { target: SEARCH, body: { query: "red flags", mode: "keyword", explain: true } },
  "by meaning": { target: SEARCH, body: { query: "stop at once", mode: "semantic", k: 3 } },
  "by both, explained": {
    target: SEARCH,
    body: { query: "red flag", explain: true, highlight: true, k: 5, facets: ["lap"] },
  },
  "with a filter": { target: SEARCH, body: { query: "flag", filter: { lap: { $gte: 2 } } } },
  "for a page": { target: SEARCH, body: { query: "flag", k: 2, offset: 2 } },
  "by query string": { target: "GET /api/v1/collections/rules/search?q=red%20flag&k=2" },
  "with a slash at the end": { target: `${SEARCH}/`, body: { query: "flag" } },
  "with an escaped name": {
    target: "POST /api/v1/collections/r%75les/search",
    body: { query: "flag" },
  },
  "by an alias": { target: "GET /api/v1/collections/live/search?q=flag" },
  "several at once": {
    target: "POST /api/v1/search/multi",
    body: { searches: [{ collection: "rules", query: "red" }] },
  },
  "a list": { target: "GET /api/v1/collections/rules/documents?limit=2" },
  "a list with a filter": {
    target: `GET /api/v1/collections/rules/documents?filter=${encodeURIComponent('{"lap":2}')}`,
  },
  "one embedding": {
    target: "POST /v1/embeddings",
    body: { model: "static-256", input: "red flag" },
  },
  "many embeddings": {
    target: "POST /v1/embeddings",
    body: {
      model: "static-256",
      encoding_format: "base64",
      input: Array.from({ length: 300 }, (_, at) => `text number ${at} of some length`),
    },
  },
  "nothing but the head of a list": { target: "HEAD /api/v1/collections/rules/documents" },
};

const BAD: Record<string, Asked> = {
  "an unknown collection": { target: "POST /api/v1/collections/none/search", body: { query: "x" } },
  "no JSON": { target: SEARCH, body: "{", headers: {} },
  "no body": { target: SEARCH },
  "another type": { target: SEARCH, body: "query", headers: { "content-type": "text/plain" } },
  "a packed body": { target: SEARCH, body: "x", headers: { "content-encoding": "gzip" } },
  "an unknown field": { target: SEARCH, body: { query: "x", queries: 2 } },
  "a vector that is a number": { target: SEARCH, body: { vector: 5 } },
  "a k too large": { target: SEARCH, body: { query: "x", k: 100_000 } },
  "a filter of no kind": { target: SEARCH, body: { query: "x", filter: { lap: { $like: 1 } } } },
  "a vector of a wrong length": { target: SEARCH, body: { vector: [1, 2] } },
  "no text": { target: SEARCH, body: { query: "" } },
  "a lone surrogate": { target: SEARCH, body: '{"query":"\\ud800"}' },
  "a body nested too deeply": { target: SEARCH, body: `{"filter":${"[".repeat(60)}` },
  "a body too large": { target: SEARCH, body: `{"query":"${"x".repeat(9 * 1024 * 1024)}"}` },
  "a change to come": { target: SEARCH, body: { query: "x", min_sequence: 10_000 } },
  "no query in the query string": { target: "GET /api/v1/collections/rules/search" },
  "a k of no number": { target: "GET /api/v1/collections/rules/search?q=x&k=many" },
  "a wrong filter in the query string": {
    target: "GET /api/v1/collections/rules/search?q=x&filter=7",
  },
  "a wrong cursor": { target: "GET /api/v1/collections/rules/documents?cursor=x" },
  "a list of no collection": { target: "GET /api/v1/collections/none/documents" },
  "a wrong method": { target: "PUT /api/v1/collections/rules/search", body: {} },
  "several, one of which is wrong": {
    target: "POST /api/v1/search/multi",
    body: {
      searches: [
        { collection: "rules", query: "red" },
        { collection: "none", query: "x" },
      ],
    },
  },
  "an unknown model": { target: "POST /v1/embeddings", body: { model: "gpt-9", input: "x" } },
  "an empty text": { target: "POST /v1/embeddings", body: { model: "static-256", input: [""] } },
};

/** A value of the clock's is told by its kind. */
const timeless = (name: string, value: unknown): unknown =>
  /^(took_ms|timings|created_at|updated_at)$/.test(name) ? typeof value : value;

/** What of an answer does not depend on the clock. */
function comparable({ status, headers, text, json }: Answer) {
  const kept = ["content-type", "retry-after", "allow", "x-request-id"];
  return {
    status,
    headers: kept.map((name) => headers.get(name)),
    body: json === undefined ? text : JSON.parse(JSON.stringify(json, timeless)),
  };
}

describe("a server with engines in processes of their own", () => {
  test("answers to the letter as one without", async () => {
    await using alone = await startServer({ env: { VECTOR_INDEX: "exact" } });
    await using server = await startEngines();
    for (const one of [alone, server]) await fill(one);
    for (const [name, { target, body, headers }] of Object.entries({ ...GOOD, ...BAD })) {
      const given = { "x-request-id": "r-1", ...headers };
      const expected = comparable(await alone.call(target, body, given));
      const found = comparable(await server.call(target, body, given));
      expect({ name, found }).toEqual({ name, found: expected });
      expect({ name, good: expected.status === 200 }).toEqual({ name, good: name in GOOD });
    }
  });

  test("gives back the request's id, and names it in problems", async () => {
    await using server = await startEngines();
    await createRules(server);
    const headers = { "x-request-id": "mine-7" };
    const good = await server.call(SEARCH, { query: "flag" }, headers);
    expect([good.status, good.headers.get("x-request-id")]).toEqual([200, "mine-7"]);
    const bad = await server.call(SEARCH, { query: "flag", k: 0 }, headers);
    expect(expectProblem(bad, 400, "invalid_request").request_id).toBe("mine-7");
    expect(bad.headers.get("x-request-id")).toBe("mine-7");
  });

  test("embeds few texts and many alike", async () => {
    await using server = await startEngines();
    const embed = async (input: readonly string[]) => {
      const answer = await server.call("POST /v1/embeddings", { model: "static-256", input });
      return read(EmbeddingsResponseSchema, answer).data.map(({ embedding }) => embedding);
    };
    const texts = Array.from({ length: 400 }, (_, at) => `text number ${at}`);
    const many = await embed(texts);
    expect(await embed(texts.slice(0, 3))).toEqual(many.slice(0, 3));
  });

  test("says that it has started, and what the start took its time for", async () => {
    await using server = await startEngines();
    const { status, steps } = read(StartupSchema, await server.call("GET /health/startup"));
    expect(status).toBe("started");
    expect(steps.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["listen", "store", "engines", "app"]),
    );
  });
});
