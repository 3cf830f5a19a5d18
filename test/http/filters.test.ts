import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { startServer, type Answer, type TestServer } from "../support/server.ts";
import {
  createRules,
  expectRefused,
  idsOf,
  readDocuments,
  readSearch,
  writeRules,
  type Refusal,
} from "./answers.ts";
import { filterArbitrary, matches, metadataArbitrary } from "./filter-oracle.ts";

const SEED = 20_261_121;
const COLLECTION = "/api/v1/collections/rules";

const byName = (a: string, b: string) => (a < b ? -1 : Number(a > b));

async function listed(server: TestServer, filter: unknown): Promise<string[]> {
  const query = encodeURIComponent(JSON.stringify(filter));
  const answer = await server.call(`GET ${COLLECTION}/documents?limit=1000&filter=${query}`);
  return readDocuments(answer).items.map((document) => document.id);
}

describe("300 random documents and 250 random filters: the server says what the oracle says", () => {
  const documents = fc
    .sample(metadataArbitrary, { numRuns: 300, seed: SEED })
    .map((metadata, index) => ({
      id: `d${index}`,
      text: "flag",
      vector: [1, index],
      metadata,
    }));
  const filters = fc.sample(filterArbitrary, { numRuns: 250, seed: SEED });
  const wanted = (filter: Record<string, unknown>) =>
    documents
      .filter(({ metadata }) => matches(metadata, filter))
      .map(({ id }) => id)
      .toSorted(byName);
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
    await createRules(server, { model: "none", dimensions: 2 });
    await writeRules(server, documents);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("the filters are worth asking: they split the documents in many ways", () => {
    const counts = filters.map((filter) => wanted(filter).length);
    expect(counts.filter((count) => count > 0 && count < 300).length).toBeGreaterThan(150);
    expect(new Set(counts).size).toBeGreaterThan(40);
    const text = JSON.stringify(filters);
    for (const operator of "$eq $ne $in $nin $gt $gte $lt $lte $exists $contains $and $or $not".split(
      " ",
    )) {
      expect(text.split(`"${operator}"`).length).toBeGreaterThan(10);
    }
  });

  test("in a list", async () => {
    for (const filter of filters) {
      const ids = await listed(server, filter);
      expect({ filter, ids: ids.toSorted(byName) }).toEqual({ filter, ids: wanted(filter) });
    }
  });

  test("in a search by vector, by words and by both, and in its count", async () => {
    for (const [index, filter] of filters.slice(0, 60).entries()) {
      const mode = ["semantic", "keyword", "hybrid"][index % 3];
      const body = { query: "flag", vector: [1, 1], mode, k: 1000, filter, explain: true };
      const { hits, total_estimate } = readSearch(
        await server.call(`POST ${COLLECTION}/search`, body),
      );
      const ids = hits.map((hit) => hit.id).toSorted(byName);
      expect({ mode, filter, ids }).toEqual({ mode, filter, ids: wanted(filter) });
      expect(total_estimate).toBe(ids.length);
    }
  });
});

describe("each operator", () => {
  const documents = Object.entries({
    one: { n: 1, s: "1", b: true, l: [1, "1", true, null], o: { n: 1, o: { n: 1 } } },
    zero: { n: 0, s: "", b: false, l: [], o: { n: 0 } },
    real: { n: 1.0, s: "one", l: [[1]], o: [] },
    nulls: { n: null, s: null, b: null, l: null, o: null },
    odd: { n: "1", s: ["1"], b: 1, l: "1", o: "n" },
    flag: { s: "🏁～é", n: -1e9, "o.n": 1 },
    none: {},
  }).map(([id, metadata]) => ({ id, text: "flag", metadata }));
  const all = documents.map(({ id }) => id);
  const without = (...ids: string[]) => all.filter((id) => !ids.includes(id));

  const table: [filter: Record<string, unknown>, ids: string[]][] = [
    [{}, all],
    [{ n: 1 }, ["one", "real"]],
    [{ n: true }, []],
    [{ b: 1 }, ["odd"]],
    [{ b: true }, ["one"]],
    [{ b: false }, ["zero"]],
    [{ n: 0 }, ["zero"]],
    [{ n: "1" }, ["odd"]],
    [{ n: null }, ["nulls"]],
    [{ s: "" }, ["zero"]],
    [{ n: 1, b: true }, ["one"]],
    [{ "o.n": 1 }, ["one"]],
    [{ "o.o.n": 1 }, ["one"]],
    [{ "l.0": 1 }, []],
    [{ n: { $eq: 1 } }, ["one", "real"]],
    [{ n: { $ne: 1 } }, without("one", "real")],
    [{ missing: { $ne: 1 } }, all],
    [{ n: { $in: [0, "1", null] } }, ["zero", "odd", "nulls"]],
    [{ n: { $in: [] } }, []],
    [{ n: { $nin: [] } }, all],
    [{ n: { $nin: [0, 1] } }, without("one", "zero", "real")],
    [{ n: { $gt: 0 } }, ["one", "real"]],
    [{ n: { $gte: 0 } }, ["one", "zero", "real"]],
    [{ n: { $lt: 0 } }, ["flag"]],
    [{ n: { $lte: 0 } }, ["zero", "flag"]],
    [{ n: { $gt: 0, $lt: 1 } }, []],
    [{ n: { $gt: "" } }, ["odd"]],
    [{ s: { $gt: "1" } }, ["real", "flag"]],
    [{ s: { $lt: "one" } }, ["one", "zero"]],
    [{ s: { $gt: "～" } }, ["flag"]],
    [{ b: { $gte: 0 } }, ["odd"]],
    [{ n: { $exists: true } }, without("none")],
    [{ n: { $exists: false } }, ["none"]],
    [{ "o.n": { $exists: true } }, ["one", "zero"]],
    [{ l: { $contains: 1 } }, ["one"]],
    [{ l: { $contains: "1" } }, ["one", "odd"]],
    [{ l: { $contains: true } }, ["one"]],
    [{ l: { $contains: null } }, ["one"]],
    [{ s: { $contains: "～" } }, ["flag"]],
    [{ s: { $contains: "n" } }, ["real"]],
    [{ s: { $contains: "" } }, ["one", "zero", "real", "flag"]],
    [{ $and: [{ n: 1 }, { b: true }] }, ["one"]],
    [{ $or: [{ n: 1 }, { b: false }] }, ["one", "zero", "real"]],
    [{ $not: { n: 1 } }, without("one", "real")],
    [{ $not: { $not: { n: 1 } } }, ["one", "real"]],
    [{ $not: {} }, []],
    [{ $or: [{ n: 1 }, { n: 0 }], b: true }, ["one"]],
    [{ $not: { $or: [{ n: { $gte: 0 } }, { s: { $exists: false } }] } }, ["nulls", "odd", "flag"]],
  ];

  test("matches these documents and no others", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(server, documents);
    for (const [filter, ids] of table) {
      const got = (await listed(server, filter)).toSorted(byName);
      expect({ filter, got }).toEqual({ filter, got: ids.toSorted(byName) });
      const oracle = documents
        .filter(({ metadata }) => matches(metadata, filter))
        .map(({ id }) => id);
      expect({ filter, oracle: oracle.toSorted(byName) }).toEqual({ filter, oracle: got });
    }
  });
});

const many = (count: number) => ({ $or: Array.from({ length: count }, (_, a) => ({ a })) });

describe("a filter that is none", () => {
  const nested = (depth: number): unknown => (depth === 0 ? { a: 1 } : { $not: nested(depth - 1) });
  const wrong: Record<string, unknown> = {
    "a list as value": { a: [1] },
    "an empty object as value": { a: {} },
    "an object as value": { a: { b: 1 } },
    "an object among operators": { a: { $eq: 1, b: 2 } },
    "an unknown operator": { a: { $like: "x" } },
    "an unknown connective": { $nor: [{ a: 1 }] },
    "an operator for a field": { $eq: 1 },
    "$and of one object": { $and: { a: 1 } },
    "$and of nothing": { $and: [] },
    "$or of values": { $or: [1] },
    "$or of lists": { $or: [[]] },
    "$not of a list": { $not: [{ a: 1 }] },
    "$not of a value": { $not: true },
    "$in of a value": { a: { $in: 1 } },
    "$in of lists": { a: { $in: [[1]] } },
    "$in of objects": { a: { $in: [{}] } },
    "$in of 1001": { a: { $in: Array.from({ length: 1001 }, (_, index) => index) } },
    "$gt of null": { a: { $gt: null } },
    "$gt of true": { a: { $gt: true } },
    "$lte of a list": { a: { $lte: [1] } },
    "$exists of 1": { a: { $exists: 1 } },
    "$exists of text": { a: { $exists: "true" } },
    "$contains of a list": { a: { $contains: ["x"] } },
    "an empty name": { "": 1 },
    "an empty name in a path": { "a..b": 1 },
    "a name that begins with a dot": { ".a": 1 },
    "a name that ends with a dot": { "a.": 1 },
    "a name with a quote": { 'a"b': 1 },
    "a name with a backslash": { "a\\b": 1 },
    "a name with a NUL": { "a\0b": 1 },
    "a name with a lone surrogate": { "a\ud800": 1 },
    "a name of 257 bytes": { ["é".repeat(128) + "x"]: 1 },
    "a value with a lone surrogate": { a: "\udfff" },
    "65 conditions": many(65),
    "nine levels": nested(9),
  };

  test("is refused where it stands, with its place", async () => {
    await using server = await startServer();
    await createRules(server);
    const refusal = (body: unknown): Refusal => ({
      target: `POST ${COLLECTION}/search`,
      body,
      status: 400,
      code: "invalid_filter",
    });
    const table = Object.entries(wrong).map(([why, filter]) => [
      why,
      refusal({ query: "x", filter }),
    ]);
    await expectRefused(server, Object.fromEntries(table));
    await expectRefused(server, {
      "an infinite value": refusal('{"query":"x","filter":{"a":1e999}}'),
      "an infinite bound": refusal('{"query":"x","filter":{"a":{"$lt":-1e999}}}'),
      "in a list": {
        target: `GET ${COLLECTION}/documents?filter=${encodeURIComponent('{"a":{"$like":1}}')}`,
        status: 400,
        code: "invalid_filter",
      },
      "in a GET search": {
        target: `GET ${COLLECTION}/search?q=x&filter=${encodeURIComponent("[]")}`,
        status: 400,
        code: "invalid_filter",
      },
    });
    const answer = await server.call(`POST ${COLLECTION}/search`, {
      query: "x",
      filter: { $and: [{ a: { $gt: [] } }] },
    });
    expect(answer.json).toMatchObject({ errors: [{ field: "filter.$and.a.$gt" }] });
  });

  test("at its bounds is taken: 64 conditions, eight levels, a thousand values, 256 bytes", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(server, [{ id: "a", text: "x" }]);
    for (const filter of [
      many(63),
      nested(7),
      { a: { $nin: Array.from({ length: 1000 }, (_, index) => index) } },
      { ["é".repeat(128)]: { $exists: false } },
    ]) {
      expect((await server.call(`POST ${COLLECTION}/search`, { query: "x", filter })).status).toBe(
        200,
      );
    }
  });

  test("of thousands of empty parts is never our failure", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(server, [{ id: "a", text: "x" }]);
    const answers: Answer[] = [];
    for (const name of ["$and", "$or"]) {
      for (const count of [500, 3000]) {
        const filter = { [name]: Array.from({ length: count }, () => ({})) };
        answers.push(await server.call(`POST ${COLLECTION}/search`, { query: "x", filter }));
      }
    }
    expect(answers.map((answer) => answer.status).filter((status) => status >= 500)).toEqual([]);
  });
});

test("a filter deletes what the oracle says and leaves the rest", async () => {
  await using server = await startServer();
  await createRules(server, { model: "none", dimensions: 1 });
  const documents = fc
    .sample(metadataArbitrary, { numRuns: 150, seed: SEED + 1 })
    .map((metadata, index) => ({ id: `d${index}`, vector: [1], metadata }));
  await writeRules(server, documents);
  const filter = { $or: [{ team: { $exists: true } }, { lap: { $gte: 1 } }] };
  const gone = documents.filter(({ metadata }) => matches(metadata, filter));
  const answer = await server.call(`POST ${COLLECTION}/documents/delete`, { filter });
  expect(answer.json).toMatchObject({ deleted: gone.length });
  expect(gone.length).toBeGreaterThan(20);
  const kept = documents.filter((document) => !gone.includes(document)).map(({ id }) => id);
  const found = idsOf(await server.call(`POST ${COLLECTION}/search`, { vector: [1], k: 1000 }));
  expect(found.toSorted(byName)).toEqual(kept.toSorted(byName));
});
