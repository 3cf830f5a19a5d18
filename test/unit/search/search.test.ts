import { describe, expect, test } from "bun:test";
import type { SearchRequest, SearchResult } from "../../../src/contract/search.ts";
import { createSearch } from "../../../src/search/search.ts";
import { Problem } from "../../../src/problems.ts";
import type { DocumentWrite, NewCollection } from "../../../src/store/store.ts";
import { EMBEDDED, openEngine, SOON_MS } from "../engine/fixtures.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, withVector, written } from "../store/fixtures.ts";

/** A searchable collection of these documents, and of some that have no vector yet. */
async function open(
  collection: NewCollection,
  documents: readonly DocumentWrite[],
  unseen: readonly DocumentWrite[] = [],
) {
  const { engine, engines, store, ...rest } = await openEngine();
  const row = await store.createCollection(collection);
  await engine.openCollection(row);
  await store.writeDocuments(row.key, documents);
  await engines.caughtUp(AbortSignal.timeout(SOON_MS));
  await store.writeDocuments(row.key, unseen);
  const searches = createSearch({ store, engine, kDefault: 10 });
  const ask = (request: SearchRequest, options = {}): Promise<SearchResult> =>
    searches.search(row, request, options);
  return {
    ...rest,
    engine,
    store,
    row,
    ask,
    ids: async (request: SearchRequest) => (await ask(request)).hits.map(({ id }) => id),
  };
}

/** A document of these words in a collection whose vectors are the caller's. */
const worded = (id: string, text: string): DocumentWrite => ({
  ...written(id, text),
  vector: new Float32Array([1, 0]),
});

/** Unit vectors at so many degrees from the first axis. */
const at = (degrees: number): number[] => [
  Math.cos((degrees * Math.PI) / 180),
  Math.sin((degrees * Math.PI) / 180),
];
const fan = Array.from({ length: 30 }, (_, index) => ({
  ...withVector(`d${String(index).padStart(2, "0")}`, at(index * 3)),
  metadata: { even: index % 2 === 0, third: index % 3 },
}));

describe("a search", () => {
  test("by meaning gives the nearest, best first, with cosine as the score", async () => {
    await using opened = await open(COLLECTION, fan);
    const { hits, model, sequence } = await opened.ask({ vector: [2, 0], k: 3 });
    expect(hits.map(({ id }) => id)).toEqual(["d00", "d01", "d02"]);
    expect(hits[0]?.score).toBeCloseTo(1, 6);
    expect(hits[2]?.score).toBeCloseTo(Math.cos((6 * Math.PI) / 180), 6);
    expect([model, sequence]).toEqual(["none", 30]);
  });

  test("gives k hits whenever k documents match the filter, however rare they are", async () => {
    await using opened = await open(COLLECTION, fan);
    const filter = { $and: [{ even: false }, { third: 1 }] };
    const matching = fan.filter(({ metadata }) => !metadata.even && metadata.third === 1);
    expect(await opened.ids({ vector: [0, 1], filter, k: 4 })).toHaveLength(4);
    const all = await opened.ids({ vector: [0, 1], filter, k: 10 });
    expect(all).toEqual(matching.map(({ id }) => id).toReversed());
  });

  test("fills up with documents that have no vector yet", async () => {
    const seen = [withVector("seen", [1, 0])];
    await using opened = await open(COLLECTION, seen, [written("unseen", "x")]);
    const { hits } = await opened.ask({ vector: [1, 0] });
    expect(hits.map(({ id, score }) => [id, score])).toEqual([
      ["seen", 1],
      ["unseen", -1],
    ]);
    expect(await opened.ids({ vector: [1, 0], min_score: 0 })).toEqual(["seen"]);
  });

  test("pages without gap or repeat, to the last document", async () => {
    const late = [written("z1", "x"), written("z2", "x")];
    await using opened = await open(COLLECTION, fan, late);
    const paged: string[] = [];
    for (let offset = 0; offset < 40; offset += 7)
      paged.push(...(await opened.ids({ vector: [1, 0], k: 7, offset })));
    expect(paged).toEqual([...fan, ...late].map(({ id }) => id));
  });

  test("by words gives only documents with a word, and counts them", async () => {
    await using opened = await open(COLLECTION, [
      worded("red", "red flag"),
      worded("flags", "flags, flags and more flags"),
      worded("rain", "rain"),
    ]);
    const result = await opened.ask({ query: "the flag", explain: true, k: 1 });
    expect(result.hits.map(({ id }) => id)).toEqual(["flags"]);
    expect(result.total_estimate).toBe(2);
    expect(result.explain).toMatchObject({ mode: "keyword", terms: ["flag"] });
    expect(await opened.ids({ query: "?!" })).toEqual([]);
  });

  test("by both finds what either finds, and explains the shares", async () => {
    await using opened = await open(EMBEDDED, [
      written("words", "Rule 42.1 zzyzx"),
      written("meaning", "cars drive slowly while it rains"),
      written("other", "lunch is at noon"),
    ]);
    const { hits } = await opened.ask({ query: "zzyzx wet vehicles", explain: true, k: 3 });
    expect(hits.map(({ id }) => id).toSorted()).toEqual(["meaning", "other", "words"]);
    const scores = new Map(hits.map(({ id, scores: one }) => [id, one]));
    expect(scores.get("words")?.keyword_rank).toBe(1);
    expect(scores.get("meaning")?.keyword_rank).toBeNull();
    for (const { score, scores: one } of hits)
      expect((one?.semantic_share ?? 0) + (one?.keyword_share ?? 0)).toBeCloseTo(score, 9);
  });

  test("by chunk shows each chunk, by document each document once at its best", async () => {
    const text = "rain today. sun today. rain again.";
    const chunks = [0, 12, 23].map((start, index, all) => {
      return { start, end: all[index + 1] ?? text.length, heading: index === 2 ? "Later" : null };
    });
    await using opened = await open(EMBEDDED, [{ ...written("a", text), chunks }]);
    const byChunk = await opened.ask({ query: "rain", mode: "keyword", group_by: "chunk" });
    expect(byChunk.hits.map(({ text: shown }) => shown ?? "").toSorted()).toEqual([
      "rain again.",
      "rain today. ",
    ]);
    const { hits } = await opened.ask({ query: "rain", group_by: "document" });
    expect(hits.map(({ id }) => id)).toEqual(["a"]);
    for (const { chunk, text: shown } of byChunk.hits)
      expect(text.slice(chunk?.start, chunk?.end)).toBe(shown ?? "");
  });

  test("marks the words it found in what it shows, and shows only what was asked for", async () => {
    await using opened = await open(COLLECTION, [
      { ...worded("a", "Flags are red."), title: "Red flags", metadata: { lap: 1 } },
    ]);
    const [hit] = (await opened.ask({ query: "flag", highlight: true })).hits;
    expect(hit?.highlights).toEqual([
      { field: "title", start: 4, end: 9 },
      { field: "text", start: 0, end: 5 },
    ]);
    const [bare] = (await opened.ask({ query: "flag", highlight: true, fields: ["title"] })).hits;
    expect(bare).not.toHaveProperty("text");
    expect(bare).not.toHaveProperty("metadata");
    expect(bare?.highlights.map(({ field }) => field)).toEqual(["title"]);
    const [plain] = (await opened.ask({ query: "flag" })).hits;
    expect(plain?.highlights).toEqual([]);
    expect(plain).not.toHaveProperty("scores");
  });

  test("counts facets over what the filter lets through", async () => {
    await using opened = await open(COLLECTION, fan);
    const result = await opened.ask({
      vector: [1, 0],
      k: 1,
      filter: { even: true },
      facets: ["third", "even", "nothing"],
    });
    expect(result.facets).toEqual({
      third: [0, 1, 2].map((value) => ({ value, count: 5 })),
      even: [{ value: true, count: 15 }],
      nothing: [],
    });
  });

  test("that engines ended over is answered by words, and by meaning alone not at all", async () => {
    await using opened = await open(COLLECTION, [
      worded("a", "red flag"),
      { ...withVector("b", [0, 1]), text: "rain" },
    ]);
    const degraded = { degraded: true };
    const both: SearchRequest = { query: "flag", vector: [0, 1], mode: "hybrid" };
    expect(await opened.ids(both)).toEqual(expect.arrayContaining(["a", "b"]));
    const { hits, ...rest } = await opened.ask(both, degraded);
    expect(hits.map(({ id }) => id)).toEqual(["a"]);
    expect(rest).toHaveProperty("degraded", true);
    // It says of no search that it was degraded which is the same without.
    const words: SearchRequest = { query: "flag", mode: "keyword" };
    expect(await opened.ask(words, degraded)).not.toHaveProperty("degraded");
    expect(await opened.ask(both)).not.toHaveProperty("degraded");
    const meaning: SearchRequest = { vector: [0, 1], mode: "semantic" };
    const problem = await problemOf(() => opened.ask(meaning, degraded));
    expect([problem.code, problem.retryAfterMs]).toEqual(["engine_lost", 1000]);
  });

  test("for a change that has not happened here is told to come again", async () => {
    await using opened = await open(COLLECTION, [withVector("a", [1, 0])]);
    const problem = await problemOf(() => opened.ask({ vector: [1, 0], min_sequence: 2 }));
    expect([problem.code, problem.retryAfterMs]).toEqual(["not_ready", 1000]);
    expect(await opened.ids({ vector: [1, 0], min_sequence: 1 })).toEqual(["a"]);
  });

  test("by meaning is refused where the model knows no word, and by both goes by the words", async () => {
    await using opened = await open(EMBEDDED, [written("a", "flag 🏁")]);
    const problem = await problemOf(() => opened.ask({ query: "\u200b\u2060", mode: "semantic" }));
    expect(problem.code).toBe("empty_text");
  });

  test("of an empty collection finds nothing", async () => {
    await using opened = await open(EMBEDDED, []);
    expect(await opened.ids({ query: "flag" })).toEqual([]);
    expect(await opened.ids({ query: "flag", filter: { lap: 1 }, offset: 5 })).toEqual([]);
  });

  test("of a collection that is dropped meanwhile finds no collection, and nothing breaks", async () => {
    await using opened = await open(EMBEDDED, [written("a", "flag")]);
    const { store, engine, row } = opened;
    const running = opened.ask({ query: "flag" }).catch((reason: unknown) => reason);
    const dropping = store.dropCollection(row.key);
    await engine.dropCollection(row.key);
    const outcome = await running;
    await dropping;
    if (outcome instanceof Error) {
      expect(outcome).toBeInstanceOf(Problem);
      expect(outcome).toHaveProperty("code", "collection_not_found");
    } else expect(outcome).toMatchObject({ hits: [] });
  });
});
