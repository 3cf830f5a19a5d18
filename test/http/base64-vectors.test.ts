import { describe, expect, test } from "bun:test";
import { EmbeddingsResponseSchema } from "../../src/contract/embeddings.ts";
import { MultiSearchResultSchema } from "../../src/contract/search.ts";
import { limits } from "../../src/limits.ts";
import { base64Of } from "../support/base64.ts";
import { jobEnded, jobOf, uploadFiles } from "../support/jobs.ts";
import { startServer, type TestServer } from "../support/server.ts";
import {
  createRules,
  expectProblem,
  expectRefused,
  idsOf,
  read,
  readSearch,
  readUpsert,
  writeRules,
  type Refusal,
} from "./answers.ts";

const DOCUMENTS = "POST /api/v1/collections/rules/documents";
const SEARCH = "POST /api/v1/collections/rules/search";
const FILES = "/api/v1/collections/rules/files";
const EAST = base64Of([1, 0, 0]);

async function startWithPoints(): Promise<TestServer> {
  const server = await startServer();
  await createRules(server, { model: "none", dimensions: 3 });
  await writeRules(server, [
    { id: "east", vector: base64Of([2, 0, 0]) },
    { id: "north", vector: [0, 5, 0] },
    { id: "northeast", vector: base64Of([2, 2, 0]) },
  ]);
  return server;
}

describe("a vector in base64", () => {
  test("is the same vector as its numbers, in a document and in a search", async () => {
    await using server = await startWithPoints();
    const byNumbers = readSearch(await server.call(SEARCH, { vector: [3, 0.5, 0] }));
    const byText = readSearch(await server.call(SEARCH, { vector: base64Of([3, 0.5, 0]) }));
    expect(byText.hits).toEqual(byNumbers.hits);
    expect(byText.hits.map((hit) => hit.id)).toEqual(["east", "northeast", "north"]);
  });

  test("goes with words, with a filter and into each search of several", async () => {
    await using server = await startWithPoints();
    await writeRules(server, [{ id: "sun", text: "sun", vector: EAST, metadata: { a: 1 } }]);
    expect(idsOf(await server.call(SEARCH, { query: "sun", vector: EAST }))[0]).toBe("sun");
    const filtered = { vector: EAST, filter: { a: 1 } };
    expect(idsOf(await server.call(SEARCH, filtered))).toEqual(["sun"]);
    const searches = [[0, 1, 0], EAST].map((vector) => ({ collection: "rules", vector, k: 1 }));
    const answer = await server.call("POST /api/v1/search/multi", { searches });
    const { results } = read(MultiSearchResultSchema, answer);
    expect(results.map(({ hits }) => hits[0]?.score)).toEqual([1, 1]);
  });

  test("of /v1/embeddings is taken as it came, in a document and in a search", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 256 });
    const input = ["The red flag stops the race.", "Lunch is at noon."];
    const body = { model: "static-256", input, encoding_format: "base64" };
    const { data } = read(EmbeddingsResponseSchema, await server.call("POST /v1/embeddings", body));
    const [flag, lunch] = data.map(({ embedding }) => embedding);
    expect(typeof flag).toBe("string");
    await writeRules(server, [
      { id: "flag", vector: flag },
      { id: "lunch", vector: lunch },
    ]);
    for (const [id, vector] of Object.entries({ flag, lunch })) {
      const [best] = readSearch(await server.call(SEARCH, { vector, k: 1 })).hits;
      expect(best?.id).toBe(id);
      expect(best?.score).toBeCloseTo(1, 5);
    }
  });

  test("comes in streams and in files of JSON lines", async () => {
    await using server = await startWithPoints();
    const lines = [
      { id: "up", vector: base64Of([0, 0, 1]) },
      { id: "wrong", vector: "AAAA" },
      { id: "short", vector: base64Of([1, 0]) },
      { id: "down", vector: base64Of([0, 0, -1]) },
    ];
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const headers = { "content-type": "application/x-ndjson" };
    const answer = await server.call(DOCUMENTS, text, headers);
    const codes = [...answer.text.matchAll(/"code":"(\w+)"/g)].map(([, code = ""]) => code);
    expect(codes).toEqual(["invalid_vector", "dimensions_mismatch"]);
    expect(idsOf(await server.call(SEARCH, { vector: [0, 0, 1], k: 1 }))).toEqual(["up"]);

    const files = { "a.jsonl": text.replaceAll('"id":"', '"id":"file-') };
    const { id } = await jobOf(await uploadFiles(server.url, FILES, files));
    const { state, first_errors } = await jobEnded(server.url, id);
    expect(state).toBe("succeeded");
    expect(first_errors.map((error) => error.code)).toEqual(codes);
    const found = idsOf(await server.call(SEARCH, { vector: [0, 0, 1], k: 2 }));
    expect(found.toSorted()).toEqual(["file-up", "up"]);
  });

  test("under an Idempotency-Key is the same request only with the same text", async () => {
    await using server = await startWithPoints();
    const key = { "idempotency-key": "k-1" };
    const write = (vector: unknown) => server.call(DOCUMENTS, { documents: [{ vector }] }, key);
    const first = await write(EAST);
    expect(readUpsert(first).upserted).toBe(1);
    expect((await write(EAST)).text).toBe(first.text);
    expectProblem(await write(base64Of([0, 1, 0])), 422, "idempotency_mismatch");
    expect(idsOf(await server.call(SEARCH, { vector: EAST }))).toHaveLength(4);
  });
});

describe("a vector that is none", () => {
  const tooLong = base64Of(Array.from({ length: limits.dimensionsMax + 1 }, () => 1));
  const SAID = "Expected an array of numbers or base64 of little-endian float32";
  const wrong: [code: Refusal["code"], vector: unknown][] = [
    ["invalid_vector", "not base64"],
    ["invalid_vector", EAST.replace("A", "*")],
    ["invalid_vector", EAST.slice(0, -1)],
    ["invalid_vector", ` ${EAST}`],
    ["invalid_vector", Buffer.alloc(13, 1).toString("base64")],
    ["invalid_vector", base64Of([NaN, 0, 1])],
    ["invalid_vector", base64Of([1, Infinity, 0])],
    ["invalid_vector", base64Of([0, 0, 0])],
    ["dimensions_mismatch", base64Of([1, 0])],
    ["dimensions_mismatch", base64Of([1, 0, 0, 0])],
    ["dimensions_mismatch", ""],
    ["invalid_request", tooLong],
    ["invalid_request", 5],
    ["invalid_request", { 0: 1 }],
    ["invalid_request", [EAST]],
  ];

  test("costs its document alone, and a search as a whole", async () => {
    await using server = await startWithPoints();
    const documents = wrong.map(([, vector]) => ({ vector }));
    const { items } = readUpsert(await server.call(DOCUMENTS, { documents }));
    expect(items.map(({ error }) => error?.code)).toEqual(wrong.map(([code]) => code));
    const searches = wrong.map(([code, vector], at): [string, Refusal] => [
      `${at}`,
      { target: SEARCH, body: { vector }, status: 400, code },
    ]);
    await expectRefused(server, Object.fromEntries(searches));
    expect(idsOf(await server.call(SEARCH, { vector: EAST }))).toHaveLength(3);
  });

  test("is told what it may be, or by how much it is too long", async () => {
    await using server = await startWithPoints();
    const told: [vector: unknown, message: string][] = [
      [5, SAID],
      [null, SAID],
      [[1, "2", 3], SAID],
      [Array.from({ length: 4097 }, () => 1), "Expected array length to be less or equal to 4096"],
      [tooLong, "Expected string length less or equal to 21848"],
    ];
    for (const [vector, message] of told) {
      const { items } = readUpsert(await server.call(DOCUMENTS, { documents: [{ vector }] }));
      expect(items[0]?.error?.detail).toBe(`vector: ${message}.`);
      const problem = expectProblem(await server.call(SEARCH, { vector }), 400, "invalid_request");
      expect(problem.errors).toEqual([{ field: "/vector", message }]);
      const searches = [{ collection: "rules", vector }];
      const several = await server.call("POST /api/v1/search/multi", { searches });
      const field = "/searches/0/vector";
      expect(expectProblem(several, 400, "invalid_request").errors).toEqual([{ field, message }]);
    }
    const empty = expectProblem(await server.call(SEARCH, { vector: [] }), 400, "invalid_request");
    expect(empty.detail).toBe("/vector: Expected array length to be greater or equal to 1.");
  });

  test("is refused in any form where the model embeds", async () => {
    await using server = await startServer();
    await createRules(server);
    const documents = [{ text: "flag", vector: EAST }];
    const { items } = readUpsert(await server.call(DOCUMENTS, { documents }));
    expect(items[0]?.error?.code).toBe("vector_not_accepted");
    expectProblem(await server.call(SEARCH, { vector: EAST }), 400, "vector_not_accepted");
  });
});
