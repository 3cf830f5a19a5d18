import { describe, expect, test } from "bun:test";
import type { SearchRequest } from "../../../src/contract/search.ts";
import type { EngineOptions } from "../../../src/engine/engine.ts";
import { createSearch } from "../../../src/search/search.ts";
import type { NewCollection } from "../../../src/store/store.ts";
import { openEngine } from "../engine/fixtures.ts";
import { COLLECTION, slicesOf, written } from "../store/fixtures.ts";

const VECTOR = new Float32Array([1, 0]);
const TEXTS = {
  stop: ["Red flag", "The race is stopped."],
  slow: ["Yellow flag", "Slow down, no overtaking; a red light follows."],
  rain: [null, "Rain tyres are flagged as wet."],
  both: [null, "Flag red, as they say."],
} as const;

async function open(
  keywordIndex: EngineOptions["keywordIndex"],
  more: Partial<NewCollection> = {},
) {
  const { engine, store, ...rest } = await openEngine({ keywordIndex });
  const row = await store.createCollection({ ...COLLECTION, ...more });
  await engine.openCollection(row);
  const documents = Object.entries(TEXTS).map(([id, [title, text]]) => {
    return { ...written(id, text, { id }), title, vector: VECTOR };
  });
  await store.writeDocuments(row.key, documents);
  const searches = createSearch({ store, engine, kDefault: 10 });
  const ask = (request: SearchRequest) =>
    searches.search(row, { mode: "keyword", explain: true, ...request });
  return {
    ...rest,
    store,
    engine,
    row,
    ask,
    /** Ids in alphabetical order; the estimate must be their number. */
    async ids(request: SearchRequest): Promise<string[]> {
      const { hits, total_estimate } = await ask(request);
      expect(total_estimate).toBe(hits.length);
      return hits.map(({ id }) => id).toSorted();
    },
  };
}

describe.each(["postings", "fts5", "both"] as const)("words found by %s", (keywordIndex) => {
  test.each<[string, SearchRequest, string[]]>([
    ["in any form, titles too", { query: "flags" }, ["both", "rain", "slow", "stop"]],
    ["any of them", { query: "rain stopping" }, ["rain", "stop"]],
    ["where the filter holds", { query: "flag", filter: { id: { $in: ["rain", "x"] } } }, ["rain"]],
    ["as a phrase", { query: '"red flag"' }, ["stop"]],
    ["as a phrase of other forms", { query: '"flags red"' }, ["both"]],
    ["as a phrase, where the filter holds", { query: '"red flag"', filter: { id: "both" } }, []],
    ["by their beginning", { query: "rai", prefix: true }, ["rain"]],
    ["by the last one's beginning", { query: "yellow overt", prefix: true }, ["slow"]],
    ["by their beginning only where asked", { query: "overt" }, []],
    ["where there are none", { query: "?!" }, []],
    ["where all are stop words", { query: "the" }, ["stop"]],
  ])("%s", async (...[, request, ids]) => {
    await using opened = await open(keywordIndex);
    expect(await opened.ids(request)).toEqual(ids);
  });

  test("are trusted by how rare they are, and marked where they stand", async () => {
    await using opened = await open(keywordIndex);
    const { hits, explain } = await opened.ask({
      query: "stopped flag",
      mode: "hybrid",
      vector: [1, 0],
      highlight: true,
    });
    expect(hits[0]?.id).toBe("stop");
    expect(hits[0]?.highlights).toEqual([
      { field: "title", start: 4, end: 8 },
      { field: "text", start: 12, end: 19 },
    ]);
    expect(explain).toMatchObject({ terms: ["stopped", "flag"], candidates: { keyword: 4 } });
    expect(Number(explain?.["keyword_confidence"])).toBeWithin(0, 1.000001);
  });
});

/** A collection in which words count by their fields. */
const weighing = (title_weight: number, text_weight: number) =>
  open("postings", {
    keyword: { language: "english", stop_words: true, title_weight, text_weight },
  });

describe("words that are nearly written so", () => {
  test("are found where asked, by one edit, and by two in long words", async () => {
    await using opened = await open("postings");
    expect(await opened.ids({ query: "yelow" })).toEqual([]);
    expect(await opened.ids({ query: "yelow", typo: true })).toEqual(["slow"]);
    expect(await opened.ids({ query: "ovretakking", typo: true })).toEqual(["slow"]);
    expect(await opened.ids({ query: "rde", typo: true })).toEqual([]);
    expect(await opened.ids({ query: '"yelow flag"', typo: true })).toEqual([]);
  });

  test("are marked in what is shown", async () => {
    await using opened = await open("postings");
    const [hit] = (await opened.ask({ query: "yelow", typo: true, highlight: true })).hits;
    expect(hit?.highlights).toEqual([{ field: "title", start: 0, end: 6 }]);
  });
});

describe("a collection's words", () => {
  test("count more in the field that weighs more", async () => {
    await using titles = await weighing(10, 1);
    expect((await titles.ask({ query: "red", k: 1 })).hits[0]?.id).toBe("stop");
    await using plain = await weighing(1, 10);
    expect((await plain.ask({ query: "red", k: 1 })).hits[0]?.id).not.toBe("stop");
  });
});

describe("the store's tables beside the index", () => {
  test("answer while the index is being made, and the index afterwards", async () => {
    await using opened = await openEngine({ keywordIndex: "both" });
    const { store, engine } = opened;
    const row = await store.createCollection(COLLECTION);
    const documents = Array.from({ length: 300 }, (_, at) => written(`d${at}`, `flag ${at}`));
    for (const slice of slicesOf(documents)) await store.writeDocuments(row.key, slice);
    const searches = createSearch({ store, engine, kDefault: 10 });
    const ask = () => searches.search(row, { query: "flags 299", mode: "keyword", explain: true });
    const opening = engine.openCollection(row);
    while (engine.indexReports().length === 0) await new Promise(setImmediate);
    expect(engine.findIndex(row.key)?.report().catchingUp).toBe(true);
    expect(engine.words(row)).toBeUndefined();
    const early = await ask();
    await opening;
    expect(engine.words(row)).toBeDefined();
    const late = await ask();
    expect([early, late].map(({ hits }) => hits[0]?.id)).toEqual(["d299", "d299"]);
    expect([early.total_estimate, late.total_estimate]).toEqual([300, 300]);
  });
});
