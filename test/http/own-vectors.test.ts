import { describe, expect, test } from "bun:test";
import { startServer, type TestServer } from "../support/server.ts";
import {
  createRules,
  expectRefused,
  idsOf,
  readCollection,
  readDocument,
  readSearch,
  readUpsert,
  writeRules,
  type Refusal,
} from "./answers.ts";

const DOCUMENTS = "POST /api/v1/collections/rules/documents";
const SEARCH = "POST /api/v1/collections/rules/search";

const POINTS = [
  { id: "east", vector: [1, 0, 0], text: "The sun rises." },
  { id: "north", vector: [0, 5, 0], title: "Compass" },
  { id: "northeast", vector: [2, 2, 0] },
  { id: "west", vector: [-1e-3, 0, 0], text: "The sun sets." },
];

async function startWithPoints(): Promise<TestServer> {
  const server = await startServer();
  await createRules(server, { model: "none", dimensions: 3 });
  await writeRules(server, POINTS);
  return server;
}

describe("a collection without a model", () => {
  test("finds by cosine, whatever the vectors' lengths", async () => {
    await using server = await startWithPoints();
    const { hits, model } = readSearch(await server.call(SEARCH, { vector: [3, 0.1, 0] }));
    expect(model).toBe("none");
    expect(hits.map((hit) => hit.id)).toEqual(["east", "northeast", "north", "west"]);
    const cosines = [1, 3.1 / 3 / Math.SQRT2, 0.1 / 3, -1].map((cosine) =>
      expect.closeTo(cosine, 2),
    );
    expect(hits.map((hit) => hit.score)).toEqual(cosines);
    expect(hits[2]).toMatchObject({ title: "Compass", text: null });
    expect(
      readDocument(await server.call("GET /api/v1/collections/rules/documents/northeast")),
    ).toMatchObject({
      title: null,
      text: null,
      chunks: 1,
      pending_embeddings: 0,
    });
  });

  test("is searched by words alone, by vector alone, or by both", async () => {
    await using server = await startWithPoints();
    expect(idsOf(await server.call(SEARCH, { query: "sun" }))).toEqual(["east", "west"]);
    const both = { query: "sets", vector: [1, 0, 0], fusion: { method: "weighted", weight: 0.4 } };
    expect(idsOf(await server.call(SEARCH, both))[0]).toBe("west");
    const keyword = { query: "compass", vector: [1, 0, 0], mode: "keyword" };
    expect(idsOf(await server.call(SEARCH, keyword))).toEqual(["north"]);
    const semantic = { query: "compass", vector: [0, 0.1, 1], mode: "semantic", k: 1 };
    expect(idsOf(await server.call(SEARCH, semantic))).toEqual(["north"]);
  });

  test("a new vector under the same id replaces the old one", async () => {
    await using server = await startWithPoints();
    await writeRules(server, [{ id: "east", vector: [0, 0, 1] }]);
    expect(idsOf(await server.call(SEARCH, { vector: [0, 0, 1], k: 1 }))).toEqual(["east"]);
    const near = readSearch(await server.call(SEARCH, { vector: [1, 0, 0], k: 1 })).hits[0];
    expect(near?.id).toBe("northeast");
    expect(readCollection(await server.call("GET /api/v1/collections/rules"))).toMatchObject({
      documents: 4,
      chunks: 4,
      pending_embeddings: 0,
    });
  });

  test("refuses a document's vector that is none, alone", async () => {
    await using server = await startWithPoints();
    const wrong: [codes: string[], vector: string][] = [
      [["dimensions_mismatch"], "[1,2]"],
      [["dimensions_mismatch"], "[1,2,3,4]"],
      [["dimensions_mismatch"], "[]"],
      [["invalid_vector"], "[0,0,0]"],
      [["invalid_vector"], "[-0,0,1e-300]"],
      [["invalid_vector"], "[1e39,0,0]"],
      [["invalid_vector", "invalid_request"], "[1e999,0,0]"],
      [["invalid_vector", "invalid_request"], "[0,-1e999,1]"],
      [["invalid_request"], "[1,null,3]"],
      [["invalid_request"], '["1",2,3]'],
      [["invalid_request"], "[true,2,3]"],
      [["invalid_vector"], '"AAAA"'],
      [["invalid_request"], '{"0":1,"1":2,"2":3}'],
      [["invalid_request"], `[${"0,".repeat(4096)}1]`],
    ];
    const list = wrong.map(([, vector]) => `{"id":"w","vector":${vector}}`).join(",");
    const body = `{"documents":[${list},{"id":"w"},{"id":"good","vector":[1,1,1]}]}`;
    const { items } = readUpsert(await server.call(DOCUMENTS, body));
    for (const [index, [codes, vector]] of wrong.entries()) {
      expect(codes, vector).toContain(items[index]?.error?.code ?? "");
    }
    expect(items.slice(-2).map((item) => item.error?.code ?? item.status)).toEqual([
      "vector_required",
      "created",
    ]);
    expect(readCollection(await server.call("GET /api/v1/collections/rules")).documents).toBe(5);
  });

  test("refuses a query that is none", async () => {
    await using server = await startWithPoints();
    const search = (body: unknown, code: Refusal["code"] = "invalid_request") => ({
      target: SEARCH,
      body,
      status: 400,
      code,
    });
    await expectRefused(server, {
      "too short": search({ vector: [1, 0] }, "dimensions_mismatch"),
      "too long": search({ vector: [1, 0, 0, 0] }, "dimensions_mismatch"),
      zero: search({ vector: [0, 0, 0] }, "invalid_vector"),
      "past float32": search({ vector: [1e200, 0, 0] }, "invalid_vector"),
      empty: search({ vector: [] }),
      infinite: search('{"vector":[1e999,0,0]}'),
      "of null": search({ vector: [null, 0, 0] }),
      "of text": search({ vector: "1,0,0" }, "invalid_vector"),
      "k 0": search({ vector: [1, 0, 0], k: 0 }),
      "k -1": search({ vector: [1, 0, 0], k: -1 }),
      "k 1e9": search({ vector: [1, 0, 0], k: 1e9 }),
      "k 1001": search({ vector: [1, 0, 0], k: 1001 }),
      "k 1.5": search({ vector: [1, 0, 0], k: 1.5 }),
      "k as text": search({ vector: [1, 0, 0], k: "10" }),
      "offset -1": search({ vector: [1, 0, 0], offset: -1 }),
      "offset 10001": search({ vector: [1, 0, 0], offset: 10_001 }),
      "no query": search({}, "vector_required"),
      "semantic by words": search({ query: "sun", mode: "semantic" }, "vector_required"),
      "hybrid by words": search({ query: "sun", mode: "hybrid" }, "vector_required"),
      "hybrid by vector": search({ vector: [1, 0, 0], mode: "hybrid" }, "empty_text"),
      "keyword by vector": search({ vector: [1, 0, 0], mode: "keyword" }, "empty_text"),
    });
    expect(idsOf(await server.call(SEARCH, { vector: [1, 0, 0], k: 1000 }))).toHaveLength(4);
  });
});

test("a collection with a model takes no vector, in a document or in a search", async () => {
  await using server = await startServer();
  await createRules(server);
  const vector = Array.from({ length: 256 }, () => 1);
  const { items } = readUpsert(
    await server.call(DOCUMENTS, { documents: [{ id: "a", text: "flag", vector }] }),
  );
  expect(items[0]?.error?.code).toBe("vector_not_accepted");
  await expectRefused(server, {
    "a vector": { target: SEARCH, body: { vector }, status: 400, code: "vector_not_accepted" },
    "a vector beside words": {
      target: SEARCH,
      body: { vector, query: "flag", mode: "keyword" },
      status: 400,
      code: "vector_not_accepted",
    },
  });
});
