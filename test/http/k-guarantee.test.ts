import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startServer, type TestServer } from "../support/server.ts";
import {
  createRules,
  idsOf,
  readCollection,
  readSearch,
  readUpsert,
  writeRules,
} from "./answers.ts";

const DIMENSIONS = 16;
const COUNT = 5000;
const SEED = 20_261_121;
const SEARCH = "POST /api/v1/collections/rules/search";

/** Numbers in 0…1 that are the same in every run: mulberry32 (T. Ettinger, public domain). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomNumbers(SEED);
const randomVector = () => Array.from({ length: DIMENSIONS }, () => random() * 2 - 1);

interface Point {
  id: string;
  vector: number[];
  text: string;
  metadata: { rare: boolean; tenth: boolean; half: boolean };
}

/** Twelve are rare; of those three hold the word that is searched for. */
const POINTS: Point[] = Array.from({ length: COUNT }, (_, index) => ({
  id: `d${index}`,
  vector: randomVector(),
  text: index % 4 === 0 ? `yellow flag ${index}` : `post ${index}`,
  metadata: {
    rare: index % 417 === 0,
    tenth: index % 10 === 0,
    half: index % 2 === 0,
  },
}));

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}

function cosine(a: readonly number[], b: readonly number[]): number {
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** The answer that comparing with every vector gives. */
function nearest(points: readonly Point[], vector: readonly number[], k: number) {
  return points
    .map((point) => ({ id: point.id, score: cosine(point.vector, vector) }))
    .toSorted((a, b) => b.score - a.score)
    .slice(0, k);
}

const rare = POINTS.filter((point) => point.metadata.rare);

describe("k hits come back whenever k documents match the filter", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
    await createRules(server, { model: "none", dimensions: DIMENSIONS });
    await writeRules(server, POINTS);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("12 of 5,000 match: the ten nearest of them, as brute force finds them", async () => {
    expect(rare).toHaveLength(12);
    for (let round = 0; round < 20; round++) {
      const vector = randomVector();
      const body = { vector, k: 10, filter: { rare: true } };
      const { hits } = readSearch(await server.call(SEARCH, body));
      const wanted = nearest(rare, vector, 10);
      expect(hits.map((hit) => hit.id)).toEqual(wanted.map((one) => one.id));
      expect(hits.map((hit) => hit.score)).toEqual(
        wanted.map((one) => expect.closeTo(one.score, 5)),
      );
    }
  });

  test("more are asked for than match: all that match, each once", async () => {
    for (const k of [11, 12, 13, 100, 1000]) {
      const vector = randomVector();
      const found = idsOf(await server.call(SEARCH, { vector, k, filter: { rare: true } }));
      expect(found).toEqual(nearest(rare, vector, k).map((one) => one.id));
    }
    expect(
      idsOf(await server.call(SEARCH, { vector: randomVector(), filter: { rare: 1 } })),
    ).toEqual([]);
  });

  test("offset reaches the last of those that match and no further", async () => {
    const vector = randomVector();
    const page = async (offset: number) =>
      idsOf(await server.call(SEARCH, { vector, k: 5, offset, filter: { rare: true } }));
    const pages = [await page(0), await page(5), await page(10), await page(15)];
    expect(pages.map((ids) => ids.length)).toEqual([5, 5, 2, 0]);
    expect(pages.flat()).toEqual(nearest(rare, vector, 12).map((one) => one.id));
  });

  test("hybrid, too: words lead, and those without them fill up to k", async () => {
    const filter = { rare: true };
    const withWord = rare.filter((point) => point.text.includes("yellow"));
    expect(withWord).toHaveLength(3);
    for (const method of ["weighted", "rrf"]) {
      const vector = randomVector();
      const body = { vector, query: "yellow", k: 10, filter, fusion: { method, weight: 0.01 } };
      const found = idsOf(await server.call(SEARCH, body));
      expect(found).toHaveLength(10);
      expect(new Set(found).size).toBe(10);
      const ids = new Set(rare.map((point) => point.id));
      expect(found.every((id) => ids.has(id))).toBe(true);
      expect(found.slice(0, 3).toSorted()).toEqual(withWord.map((point) => point.id).toSorted());
    }
  });

  test("with wide filters and none the count is full and what is found is nearest", async () => {
    const filters: [filter: Record<string, boolean> | undefined, points: Point[]][] = [
      [undefined, POINTS],
      [{ half: true }, POINTS.filter((point) => point.metadata.half)],
      [{ tenth: true }, POINTS.filter((point) => point.metadata.tenth)],
      [{ tenth: true, half: false }, []],
    ];
    for (const [filter, points] of filters) {
      let common = 0;
      for (let round = 0; round < 10; round++) {
        const vector = randomVector();
        const body = { vector, k: 50, ...(filter === undefined ? {} : { filter }) };
        const found = idsOf(await server.call(SEARCH, body));
        expect(found).toHaveLength(Math.min(50, points.length));
        const wanted = new Set(nearest(points, vector, 50).map((one) => one.id));
        common += found.filter((id) => wanted.has(id)).length;
      }
      // An HNSW graph may miss a few; half of them would be another index.
      expect(common).toBeGreaterThanOrEqual(0.95 * 10 * Math.min(50, points.length));
    }
  });

  test("after half of those that match are deleted, the rest come back", async () => {
    const ids = rare.slice(0, 6).map((point) => point.id);
    await server.call("POST /api/v1/collections/rules/documents/delete", { ids });
    const vector = randomVector();
    const body = { vector, k: 10, filter: { rare: true } };
    const found = idsOf(await server.call(SEARCH, body));
    expect(found).toEqual(nearest(rare.slice(6), vector, 10).map((one) => one.id));
  });
});

test("documents that wait for their vectors count: k come back in hybrid and semantic mode", async () => {
  await using server = await startServer();
  await createRules(server, { model: "all-MiniLM-L6-v2" });
  const sentence = "The marshal waves the yellow flag at the post before the chicane. ".repeat(8);
  const documents = Array.from({ length: 60 }, (_, index) => ({
    id: `d${index}`,
    text: `${sentence} ${index}`,
    metadata: { rare: index % 5 === 0 },
  }));
  const target = "POST /api/v1/collections/rules/documents";
  readUpsert(await server.call(target, { documents }));
  const wanted = documents.filter(({ metadata }) => metadata.rare).map(({ id }) => id);
  for (const [mode, query] of [
    ["semantic", "marshal"],
    ["hybrid", "zebra crossing"],
  ]) {
    const body = { query, mode, filter: { rare: true } };
    const ten = idsOf(await server.call(SEARCH, { ...body, k: 10 }));
    expect([ten.length, new Set(ten).size]).toEqual([10, 10]);
    const all = idsOf(await server.call(SEARCH, { ...body, k: 100 }));
    expect(all.toSorted()).toEqual(wanted.toSorted());
  }
  const state = readCollection(await server.call("GET /api/v1/collections/rules"));
  expect(state.pending_embeddings, "the premise: some still wait").toBeGreaterThan(0);
});
