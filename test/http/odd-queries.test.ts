import { expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { startServer } from "../support/server.ts";
import { createRules, expectRefused, writeRules, type Refusal } from "./answers.ts";

const COLLECTION = "/api/v1/collections/rules";

const ADDRESS_LENGTH_MAX = 12_000;

/** Texts that mean something to a parser somewhere below, or that break one. */
const ODD = [
  '"',
  '""',
  '"flag',
  "flag'",
  "flag OR",
  "OR",
  "AND NOT NEAR",
  "NEAR(flag post, 2)",
  "title: flag",
  "{title text}: flag",
  "flag*",
  "^flag",
  "+flag -post",
  "(flag",
  "flag)",
  "flag; DROP TABLE chunks; --",
  "flag\\",
  "%",
  "_",
  "*",
  "\0",
  "flag\0post",
  "a\u0301\u0302\u0303",
  "\u0301",
  "½ ² Ⅷ ①",
  "🏁",
  "🏁🏁🏁 👩‍🚀",
  "\u200d\u200b\ufeff",
  "\u202eflag",
  "日本語の旗",
  "ﬂag",
  "İstanbul ǅ ß",
  "\ue000\uf8ff",
  "\u{10ffff}",
  "\ufffe\uffff",
  "a".repeat(8000),
  "é".repeat(4000),
  "\u0301".repeat(4000),
  "flag ".repeat(1600),
  Array.from({ length: 1300 }, (_, index) => `w${index}`).join(" "),
  Array.from({ length: 2600 }, (_, index) => String.fromCodePoint(0x4e00 + index)).join(""),
  "the and of",
  "<script>alert(1)</script>",
  "null",
  "${flag}",
  "../../etc/passwd",
];

test("no text of a query is our failure, in any mode, by body or by query string", async () => {
  await using server = await startServer();
  await createRules(server);
  await writeRules(server, [
    { id: "a", title: "Flag", text: "The flag at the post. 🏁 日本語 ½" },
    { id: "b", text: "a".repeat(8000) },
  ]);
  const failures: unknown[] = [];
  for (const query of ODD) {
    for (const mode of ["hybrid", "semantic", "keyword"]) {
      const body = { query, mode, highlight: true, explain: true };
      const answers = [await server.call(`POST ${COLLECTION}/search`, body)];
      const inUrl = new URLSearchParams({ q: query, mode }).toString();
      // A longer address is refused by the runtime, before any code of ours.
      if (inUrl.length < ADDRESS_LENGTH_MAX) {
        answers.push(await server.call(`GET ${COLLECTION}/search?${inUrl}`));
      }
      for (const { status, json } of answers) {
        const empty = status === 400 && JSON.stringify(json).includes('"empty_text"');
        // Only a query by meaning, with no word that the model knows, has nothing to go by.
        const allowed = status === 200 || (empty && (mode === "semantic" || query.trim() === ""));
        if (!allowed) failures.push([query.slice(0, 40), mode, status, json]);
      }
    }
  }
  expect(failures).toEqual([]);
  expect(await server.log()).toBe("");
});

test("operators are words: they neither join nor exclude; only quotes say more", async () => {
  await using server = await startServer();
  await createRules(server);
  await writeRules(server, [
    { id: "both", text: "red flag" },
    { id: "red", text: "red light" },
    { id: "near", text: "near the post" },
  ]);
  const ids = async (query: string) => {
    const answer = await server.call(`POST ${COLLECTION}/search`, { query, mode: "keyword" });
    return JSON.stringify(answer.json)
      .match(/(?<="id":")\w+/g)
      ?.toSorted();
  };
  expect(await ids("red AND flag")).toEqual(["both", "red"]);
  expect(await ids("red -flag")).toEqual(["both", "red"]);
  expect(await ids("red NOT flag")).toEqual(["both", "red"]);
  expect(await ids("NEAR(red, 1)")).toEqual(["both", "near", "red"]);
  expect(await ids('"light red"')).toBeUndefined();
  expect(await ids('"red light"')).toEqual(["red"]);
  expect(await ids('"light red')).toEqual(["both", "red"]);
  expect(await ids("re*")).toBeUndefined();
});

test("a query with nothing in it, too much, or no Unicode is refused", async () => {
  await using server = await startServer();
  await createRules(server);
  const search = (body: unknown, code: Refusal["code"], status = 400): Refusal => ({
    target: `POST ${COLLECTION}/search`,
    body,
    status,
    code,
  });
  await expectRefused(server, {
    "no query": search({}, "empty_text"),
    "an empty query": search({ query: "" }, "empty_text"),
    "a blank query": search({ query: " \t\n\u00a0" }, "empty_text"),
    "a lone surrogate": search('{"query":"flag \\ud800"}', "invalid_text"),
    "a pair the wrong way round": search('{"query":"\\udc00\\ud800"}', "invalid_text"),
    "5,000 words": search({ query: "marshal ".repeat(5000) }, "too_large", 413),
    "a byte too many": search({ query: "a".repeat(limits.queryBytesMax + 1) }, "too_large", 413),
    "bytes too many, characters not": search({ query: "é".repeat(4097) }, "too_large", 413),
    "a number": search({ query: 7 }, "invalid_request"),
    "a list": search({ query: ["flag"] }, "invalid_request"),
    null: search({ query: null }, "invalid_request"),
    "an unknown mode": search({ query: "x", mode: "fuzzy" }, "invalid_request"),
    "an unknown group": search({ query: "x", group_by: "page" }, "invalid_request"),
    "an unknown field shown": search({ query: "x", fields: ["vector"] }, "invalid_request"),
    "an unknown field": search({ query: "x", limit: 5 }, "invalid_request"),
    "an infinite min_score": search('{"query":"x","min_score":1e999}', "invalid_request"),
    "a negative min_sequence": search({ query: "x", min_sequence: -1 }, "invalid_request"),
    "eleven facets": search({ query: "x", facets: Array(11).fill("a") }, "invalid_request"),
    "a facet without a name": search({ query: "x", facets: [""] }, "invalid_filter"),
    "a facet with a quote": search({ query: "x", facets: ['a"'] }, "invalid_filter"),
    "a weight above 1": search(
      { query: "x", fusion: { method: "rrf", weight: 2 } },
      "invalid_request",
    ),
    "no q": { target: `GET ${COLLECTION}/search`, status: 400, code: "invalid_request" },
    "an empty q": { target: `GET ${COLLECTION}/search?q=`, status: 400, code: "invalid_request" },
    "an unknown name beside q": {
      target: `GET ${COLLECTION}/search?q=x&limit=5`,
      status: 400,
      code: "invalid_request",
    },
    "a k that is no number": {
      target: `GET ${COLLECTION}/search?q=x&k=ten`,
      status: 400,
      code: "invalid_request",
    },
    "a k of 0": {
      target: `GET ${COLLECTION}/search?q=x&k=0`,
      status: 400,
      code: "invalid_request",
    },
    "a highlight of maybe": {
      target: `GET ${COLLECTION}/search?q=x&highlight=maybe`,
      status: 400,
      code: "invalid_request",
    },
  });
  const most = { query: "a".repeat(limits.queryBytesMax) };
  expect((await server.call(`POST ${COLLECTION}/search`, most)).status).toBe(200);
});
