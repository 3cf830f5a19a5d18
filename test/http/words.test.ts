import { describe, expect, test } from "bun:test";
import { startServer, type TestServer } from "../support/server.ts";
import { createRules, expectRefused, idsOf, readSearch, writeRules } from "./answers.ts";

const SEARCH = "/api/v1/collections/rules/search";

const RULES = [
  { id: "stop", title: "Red flag", text: "The session is stopped." },
  { id: "slow", title: "Yellow flag", text: "Slow down: overtaking is forbidden." },
  { id: "light", text: "A flag, red or yellow, goes with a light." },
];

async function startWith(documents: readonly unknown[], more: Record<string, unknown> = {}) {
  const server = await startServer();
  await createRules(server, more);
  await writeRules(server, documents);
  return server;
}

/** Ids in alphabetical order of a keyword search. */
async function found(server: TestServer, body: Record<string, unknown>): Promise<string[]> {
  return idsOf(await server.call(`POST ${SEARCH}`, { mode: "keyword", ...body })).toSorted();
}

describe("a keyword search", () => {
  test("takes the last word for the beginning of one only where it is told to", async () => {
    await using server = await startWith(RULES);
    expect(await found(server, { query: "overt" })).toEqual([]);
    expect(await found(server, { query: "overt", prefix: true })).toEqual(["slow"]);
    expect(await found(server, { query: "yell over", prefix: true })).toEqual(["slow"]);
    const byUrl = await server.call(`GET ${SEARCH}?q=overt&mode=keyword&prefix=true`);
    expect(idsOf(byUrl)).toEqual(["slow"]);
  });

  test("forgives a typing error only where it is told to", async () => {
    await using server = await startWith(RULES);
    expect(await found(server, { query: "sesion" })).toEqual([]);
    expect(await found(server, { query: "sesion", typo: true })).toEqual(["stop"]);
    expect(await found(server, { query: "forbiden yelow", typo: true })).toEqual(["light", "slow"]);
    const byUrl = await server.call(`GET ${SEARCH}?q=sesion&mode=keyword&typo=true`);
    expect(idsOf(byUrl)).toEqual(["stop"]);
  });

  test("finds a phrase as it stands, and marks it as one", async () => {
    await using server = await startWith(RULES);
    expect(await found(server, { query: "red flag" })).toEqual(["light", "slow", "stop"]);
    expect(await found(server, { query: '"red flag"' })).toEqual(["stop"]);
    expect(await found(server, { query: "“yellow flag” light" })).toEqual(["slow"]);
    expect(await found(server, { query: '"flag yellow"' })).toEqual([]);
    const answer = await server.call(`POST ${SEARCH}`, {
      query: '"red flag"',
      mode: "keyword",
      highlight: true,
    });
    expect(readSearch(answer).hits[0]?.highlights).toEqual([{ field: "title", start: 0, end: 8 }]);
  });

  test("looks for the commonest words only where the collection says so, or no others are asked for", async () => {
    for (const [stop_words, ids] of [
      [true, ["slow"]],
      [false, ["slow", "stop"]],
    ] as const) {
      await using server = await startWith(RULES, { keyword: { stop_words } });
      expect(await found(server, { query: "the overtaking" })).toEqual([...ids]);
      expect(await found(server, { query: "the" })).toEqual(["stop"]);
    }
  });

  test("with a wrong prefix or typo is refused", async () => {
    await using server = await startWith([]);
    const refused = (body: Record<string, unknown>) => ({
      target: `POST ${SEARCH}`,
      body: { query: "x", ...body },
      status: 400,
      code: "invalid_request" as const,
    });
    await expectRefused(server, {
      "a prefix that is no boolean": refused({ prefix: "rai" }),
      "a typo that is no boolean": refused({ typo: 2 }),
      "a prefix by url": {
        target: `GET ${SEARCH}?q=x&prefix=maybe`,
        body: undefined,
        status: 400,
        code: "invalid_request",
      },
    });
  });
});

describe("a hybrid search", () => {
  test("takes the same words", async () => {
    await using server = await startWith(RULES);
    const answer = await server.call(`POST ${SEARCH}`, {
      query: "overtking",
      typo: true,
      k: 1,
      explain: true,
      fusion: { method: "weighted", weight: 0 },
    });
    expect(readSearch(answer).hits).toMatchObject([{ id: "slow", scores: { keyword_rank: 1 } }]);
  });
});

describe("a collection's language", () => {
  const SAETZE = [
    { id: "flaggen", text: "Die Rennleitung schwenkt rote Flaggen." },
    { id: "autos", text: "Der Fahrer überholte mehrere Autos." },
  ];

  test("folds its own endings and accents", async () => {
    await using server = await startWith(SAETZE, { keyword: { language: "german" } });
    expect(await found(server, { query: "Flagge" })).toEqual(["flaggen"]);
    expect(await found(server, { query: "den Fahrern" })).toEqual(["autos"]);
    expect(await found(server, { query: "uberholten" })).toEqual(["autos"]);
    const { highlights = [] } =
      readSearch(
        await server.call(`POST ${SEARCH}`, { query: "Flagge", mode: "keyword", highlight: true }),
      ).hits[0] ?? {};
    expect(highlights).toEqual([{ field: "text", start: 30, end: 37 }]);
  });

  test("none takes words as they are", async () => {
    await using server = await startWith(SAETZE, { keyword: { language: "none" } });
    expect(await found(server, { query: "Flagge" })).toEqual([]);
    expect(await found(server, { query: "FLAGGEN" })).toEqual(["flaggen"]);
  });
});

describe("a collection's weights", () => {
  const TITLED = [
    { id: "title", title: "flag", text: "Something else is said here in a few words." },
    { id: "text", title: "Something", text: "A flag, another flag and one more flag." },
  ];

  test("say whether the title or the text counts", async () => {
    for (const [title_weight, text_weight, best] of [
      [20, 1, "title"],
      [1, 20, "text"],
    ] as const) {
      await using server = await startWith(TITLED, { keyword: { title_weight, text_weight } });
      const answer = await server.call(`POST ${SEARCH}`, { query: "flag", mode: "keyword" });
      expect(idsOf(answer)[0]).toBe(best);
    }
  });
});
