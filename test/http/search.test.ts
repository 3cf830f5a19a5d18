import { describe, expect, test } from "bun:test";
import { MultiSearchResultSchema } from "../../src/contract/search.ts";
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
} from "./answers.ts";

const SEARCH = "POST /api/v1/collections/rules/search";

const RULES = [
  { id: "red", title: "Red flag", text: "The race is stopped and the cars go to the pit lane." },
  { id: "yellow", title: "Yellow flag", text: "Danger ahead: slow down and do not overtake." },
  { id: "crane", title: "Recovery", text: "A crane lifts the damaged vehicle off the track." },
  { id: "tyres", title: "Tyres", text: "Rubber compounds wear out and are changed at a stop." },
  { id: "anthem", title: "Ceremony", text: "The national anthem is sung before the start." },
];

async function search(server: TestServer, body: Record<string, unknown>) {
  return readSearch(await server.call(SEARCH, body));
}

async function startWithRules(documents: readonly unknown[] = RULES): Promise<TestServer> {
  const server = await startServer();
  await createRules(server);
  await writeRules(server, documents);
  return server;
}

describe("modes", () => {
  test("keyword finds words in any of their forms, in title and text, and nothing else", async () => {
    await using server = await startWithRules();
    const keyword = async (query: string) =>
      (await search(server, { query, mode: "keyword" })).hits.map((hit) => hit.id).toSorted();
    expect(await keyword("STOPPING")).toEqual(["red", "tyres"]);
    expect(await keyword("flags")).toEqual(["red", "yellow"]);
    expect(await keyword("anthem vehicle")).toEqual(["anthem", "crane"]);
    expect(await keyword("automobile")).toEqual([]);
    expect(await keyword("the")).toEqual(["anthem", "crane", "red"]);
  });

  test("semantic finds meaning without a common word and gives every document its score", async () => {
    await using server = await startWithRules();
    const { hits, model, sequence } = await search(server, {
      query: "lorry removes a broken automobile",
      mode: "semantic",
    });
    expect(hits).toHaveLength(RULES.length);
    expect(hits[0]?.id).toBe("crane");
    const scores = hits.map((hit) => hit.score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(scores.every((score) => score >= -1 && score <= 1.000001)).toBe(true);
    expect([model, sequence]).toEqual(["static-256", RULES.length]);
  });

  test("hybrid is the default and is led by what both sides find", async () => {
    await using server = await startWithRules();
    const hybrid = await search(server, { query: "red flag stops the race" });
    expect(hybrid.hits[0]).toMatchObject({ id: "red", score: 1 });
    const said = await search(server, { query: "red flag stops the race", mode: "hybrid" });
    expect(hybrid.hits).toEqual(said.hits);
  });

  test("the larger model is searched in the same way", async () => {
    await using server = await startServer();
    await createRules(server, { model: "all-MiniLM-L6-v2" });
    await writeRules(server, RULES);
    const { hits, model } = await search(server, {
      query: "truck that tows away a wrecked car",
      mode: "semantic",
    });
    expect(model).toBe("all-MiniLM-L6-v2");
    expect(hits[0]?.id).toBe("crane");
    expect(hits[0]?.score).toBeGreaterThan(0.35);
  });

  test("a query without a word the model knows has no meaning but may have words", async () => {
    await using server = await startWithRules();
    const answer = await server.call(SEARCH, { query: "\u200b \ue000", mode: "semantic" });
    expect([200, 400]).toContain(answer.status);
    expect((await search(server, { query: "\ue000" })).hits.length).toBeGreaterThan(0);
    expect((await search(server, { query: "?!", mode: "keyword" })).hits).toEqual([]);
  });
});

describe("k, offset, min_score", () => {
  test("k hits come back, ten where it is not said, and offset goes on without gap or repeat", async () => {
    const documents = Array.from({ length: 40 }, (_, index) => ({
      id: `d${index}`,
      text: `Marshal post ${index} shows flag number ${index % 7}.`,
    }));
    await using server = await startWithRules(documents);
    for (const mode of ["hybrid", "semantic", "keyword"]) {
      const base = { query: "marshal flag 3", mode };
      const all = (await search(server, { ...base, k: 40 })).hits;
      expect(all).toHaveLength(40);
      expect((await search(server, base)).hits).toEqual(all.slice(0, 10));
      const pages = [];
      for (let offset = 0; offset < 42; offset += 7) {
        pages.push(...(await search(server, { ...base, k: 7, offset })).hits);
      }
      expect(pages.map((hit) => hit.id)).toEqual(all.map((hit) => hit.id));
      expect((await search(server, { ...base, offset: 40 })).hits).toEqual([]);
      expect((await search(server, { ...base, offset: 10_000, k: 1000 })).hits).toEqual([]);
    }
  });

  test("offset goes past the first hundred candidates of a hybrid search without gap or repeat", async () => {
    const documents = Array.from({ length: 260 }, (_, index) => ({
      id: `d${index}`,
      text: `Marshal post ${index} shows flag number ${index % 7}${index % 3 === 0 ? " to the leader" : ""}.`,
    }));
    await using server = await startWithRules(documents);
    const ids = [];
    for (let offset = 0; offset < 260; offset += 20) {
      const { hits } = await search(server, { query: "flag leader", k: 20, offset });
      ids.push(...hits.map((hit) => hit.id));
    }
    expect(ids.toSorted()).toEqual(documents.map((document) => document.id).toSorted());
  });

  test("SEARCH_TOP_K is the k of a search that says none", async () => {
    await using server = await startServer({ env: { SEARCH_TOP_K: "2" } });
    await createRules(server);
    await writeRules(server, RULES);
    expect((await search(server, { query: "flag" })).hits).toHaveLength(2);
    expect((await search(server, { query: "flag", k: 4 })).hits).toHaveLength(4);
  });

  test("min_score leaves out what is below it, in each mode", async () => {
    await using server = await startWithRules();
    for (const mode of ["hybrid", "semantic", "keyword"]) {
      const base = { query: "red flag stop", mode };
      const all = (await search(server, base)).hits;
      const min_score = all[1]?.score ?? 0;
      const good = (await search(server, { ...base, min_score })).hits;
      expect(good).toEqual(all.filter((hit) => hit.score >= min_score));
      expect((await search(server, { ...base, min_score: 1000 })).hits).toEqual([]);
    }
  });
});

describe("what a hit shows", () => {
  const book = {
    id: "book",
    title: "Sporting code",
    text: [
      "# Flags",
      "",
      "A red flag stops the session.",
      "",
      "# Pit lane",
      "",
      "The speed limit in the pit lane is 80 km/h.",
      "",
      "# Podium",
      "",
      "The anthem is played.",
    ].join("\n"),
    metadata: { season: 2026, tags: ["a"] },
  };

  test("the best chunk of a document, with its place in the text", async () => {
    await using server = await startWithRules([book]);
    for (const mode of ["hybrid", "semantic", "keyword"]) {
      const { hits } = await search(server, { query: "pit lane speed limit", mode });
      expect(hits).toHaveLength(1);
      const hit = hits[0];
      expect(hit).toMatchObject({ id: "book", title: book.title, metadata: book.metadata });
      expect(hit?.chunk).toMatchObject({ index: 1, heading: "Pit lane" });
      expect(hit?.text).toBe(book.text.slice(hit?.chunk?.start, hit?.chunk?.end));
      expect(hit?.text).toContain("80 km/h");
    }
  });

  test("group_by chunk gives each chunk a hit of its own", async () => {
    await using server = await startWithRules([book, { id: "other", text: "The pit wall." }]);
    const { hits } = await search(server, { query: "pit", mode: "semantic", group_by: "chunk" });
    expect(hits.map((hit) => [hit.id, hit.chunk?.index].join()).toSorted()).toEqual([
      "book,0",
      "book,1",
      "book,2",
      "other,0",
    ]);
    const words = await search(server, { query: "pit", mode: "keyword", group_by: "chunk" });
    expect(words.hits.map((hit) => [hit.id, hit.chunk?.index].join()).toSorted()).toEqual([
      "book,1",
      "other,0",
    ]);
    const documents = await search(server, { query: "pit", mode: "semantic" });
    expect(documents.hits.map((hit) => hit.id).toSorted()).toEqual(["book", "other"]);
  });

  test("fields chooses among title, text and metadata", async () => {
    await using server = await startWithRules([book]);
    const keys = async (fields: string[]) => {
      const { hits } = await search(server, { query: "pit lane", fields, highlight: true });
      return { keys: Object.keys(hits[0] ?? {}).toSorted(), highlights: hits[0]?.highlights };
    };
    const always = ["chunk", "highlights", "id", "score"];
    expect(await keys([])).toEqual({ keys: always, highlights: [] });
    expect(await keys(["title"])).toEqual({ keys: [...always, "title"], highlights: [] });
    expect((await keys(["metadata"])).keys).toEqual([...always.slice(0, 3), "metadata", "score"]);
    expect((await keys(["text"])).highlights?.every(({ field }) => field === "text")).toBe(true);
  });

  test("explain says what each side gave, and the shares make the score", async () => {
    await using server = await startWithRules();
    for (const fusion of [
      { method: "weighted", weight: 0.4 },
      { method: "rrf", weight: 0.5 },
    ]) {
      const result = await search(server, { query: "yellow flag", explain: true, fusion });
      expect(result.explain).toMatchObject({ mode: "hybrid", fusion, terms: ["yellow", "flag"] });
      expect(result.total_estimate).toBe(RULES.length);
      for (const { score, scores } of result.hits) {
        const sum = (scores?.semantic_share ?? NaN) + (scores?.keyword_share ?? NaN);
        expect(sum).toBeCloseTo(score, 9);
      }
      expect(result.hits[0]).toMatchObject({
        id: "yellow",
        scores: { semantic_rank: 1, keyword_rank: 1 },
      });
    }
    const rrf = { query: "yellow flag", explain: true, fusion: { method: "rrf", weight: 0.5 } };
    const first = (await search(server, rrf)).hits[0]?.scores;
    expect(first?.semantic_share).toBeCloseTo(1 / 61, 12);
    expect(first?.keyword_share).toBeCloseTo(1 / 61, 12);
    const plain = await search(server, { query: "yellow flag" });
    expect(plain.hits.every((hit) => hit.scores === undefined)).toBe(true);
    expect([plain.explain, plain.facets]).toEqual([undefined, undefined]);
    const words = await search(server, { query: "flag", mode: "keyword", explain: true });
    expect(words.total_estimate).toBe(2);
  });
});

describe("facets", () => {
  const documents = [
    { id: "a", text: "flag", metadata: { team: "red", laps: 3, tags: ["x", "y"], car: { no: 1 } } },
    { id: "b", text: "flag", metadata: { team: "red", laps: 3.0, tags: ["x"], car: { no: "1" } } },
    { id: "c", text: "flag", metadata: { team: "blue", laps: true, tags: ["x", "x"], car: null } },
    { id: "d", text: "flag", metadata: { team: null, laps: 1 } },
    { id: "e", text: "flag" },
  ];

  test("count the documents of each value, most frequent first, types apart", async () => {
    await using server = await startWithRules(documents);
    const facets = ["team", "laps", "tags", "car.no", "missing"];
    const result = await search(server, { query: "flag", facets, k: 1 });
    expect(result.facets).toEqual({
      team: [
        { value: "red", count: 2 },
        { value: "blue", count: 1 },
        { value: null, count: 1 },
      ],
      laps: [
        { value: 3, count: 2 },
        { value: 1, count: 1 },
        { value: true, count: 1 },
      ],
      // A value that a document's list names twice is still one document's.
      tags: [
        { value: "x", count: 3 },
        { value: "y", count: 1 },
      ],
      "car.no": [
        { value: "1", count: 1 },
        { value: 1, count: 1 },
      ],
      missing: [],
    });
  });

  test("count within the filter", async () => {
    await using server = await startWithRules(documents);
    const filter = { team: "red" };
    const result = await search(server, { query: "flag", facets: ["tags", "team"], filter });
    expect(result.facets).toEqual({
      tags: [
        { value: "x", count: 2 },
        { value: "y", count: 1 },
      ],
      team: [{ value: "red", count: 2 }],
    });
  });

  test("of a name that objects have anyway are counted like any other", async () => {
    const metadata: unknown = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}');
    await using server = await startWithRules([{ id: "a", text: "flag", metadata }]);
    const facets = ["__proto__", "constructor", "toString"];
    const answer = await server.call(SEARCH, { query: "flag", facets });
    expect(answer.status).toBe(200);
    for (const [name, value] of [
      ["__proto__", "a"],
      ["constructor", "b"],
      ["toString", "c"],
    ]) {
      expect(answer.text).toContain(`"${name}":[{"value":"${value}","count":1}]`);
    }
  });
});

test("min_sequence is answered once the change is there, and refused for later before", async () => {
  await using server = await startWithRules();
  const written = { documents: [{ id: "new", text: "A chequered flag ends the race." }] };
  const path = "POST /api/v1/collections/rules/documents";
  const { sequence } = readUpsert(await server.call(path, written));
  const found = await search(server, {
    query: "chequered",
    mode: "keyword",
    min_sequence: sequence,
  });
  expect(found.hits.map((hit) => hit.id)).toEqual(["new"]);
  expect(found.sequence).toBeGreaterThanOrEqual(sequence);
  const early = await server.call(SEARCH, { query: "flag", min_sequence: sequence + 1 });
  expectProblem(early, 503, "not_ready");
  expect(early.headers.get("retry-after")).toBe("1");
});

test("a GET search answers as the POST does", async () => {
  await using server = await startWithRules(
    RULES.map((rule, index) => ({ ...rule, metadata: { index } })),
  );
  const filter = { index: { $lt: 4 } };
  const query = new URLSearchParams({
    q: "red & yellow flag?",
    mode: "hybrid",
    k: "3",
    offset: "1",
    filter: JSON.stringify(filter),
    min_score: "-0.5",
    highlight: "true",
    explain: "true",
  });
  const got = readSearch(
    await server.call(`GET /api/v1/collections/rules/search?${query.toString()}`),
  );
  const posted = await search(server, {
    query: "red & yellow flag?",
    mode: "hybrid",
    k: 3,
    offset: 1,
    filter,
    min_score: -0.5,
    highlight: true,
    explain: true,
  });
  expect(got.hits).toEqual(posted.hits);
  expect(got.total_estimate).toBe(4);
});

test("a multi search answers each search in its place, and one that is wrong refuses all", async () => {
  await using server = await startWithRules();
  await server.call("POST /api/v1/collections", { name: "own", model: "none", dimensions: 2 });
  const target = "POST /api/v1/search/multi";
  const documents = [{ id: "v", vector: [1, 0] }];
  readUpsert(await server.call("POST /api/v1/collections/own/documents", { documents }));
  const searches = [
    { collection: "rules", query: "crane", mode: "keyword" },
    { collection: "own", vector: [1, 0] },
    { collection: "rules", query: "anthem", mode: "keyword", k: 1 },
  ];
  const { results } = read(MultiSearchResultSchema, await server.call(target, { searches }));
  expect(results.map((result) => result.hits.map((hit) => hit.id))).toEqual([
    ["crane"],
    ["v"],
    ["anthem"],
  ]);
  const good = { collection: "rules", query: "flag" };
  const refused = { target, status: 400, code: "invalid_request" } as const;
  await expectRefused(server, {
    "no searches": { ...refused, body: { searches: [] } },
    "33 searches": { ...refused, body: { searches: Array.from({ length: 33 }, () => good) } },
    "an unknown field": { ...refused, body: { searches: [{ ...good, nope: 1 }] } },
    "an unknown field beside": { ...refused, body: { searches: [good], nope: 1 } },
    "no collection": { ...refused, body: { searches: [{ query: "flag" }] } },
    "a name that is none": { ...refused, body: { searches: [{ ...good, collection: "a b" }] } },
    "one without words": {
      ...refused,
      body: { searches: [good, { ...good, query: " " }] },
      code: "empty_text",
    },
  });
  const all = Array.from({ length: 32 }, () => good);
  expect(idsOf(await server.call(SEARCH, { query: "flag" }))).toHaveLength(5);
  expect((await server.call(target, { searches: all })).status).toBe(200);
});
