import { describe, expect, test } from "bun:test";
import { DeleteResultSchema, DocumentSchema } from "../../src/contract/documents.ts";
import { startServer } from "../support/server.ts";
import {
  createRules,
  expectRefused,
  idsOf,
  read,
  readDocuments,
  readPages,
  writeRules,
} from "./answers.ts";

const DOCUMENTS = "/api/v1/collections/rules/documents";
const SEARCH = "POST /api/v1/collections/rules/search";

const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

const list = (query: string) => ({ target: `GET ${DOCUMENTS}?${query}`, status: 400 });

describe("list", () => {
  test("pages hold every document once, in the order of code points", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 1 });
    const ids = Array.from({ length: 101 }, (_, index) => `d${(index * 37) % 101}`);
    // U+1F3C1 comes after U+FF5E by code point and before it by UTF-16 code unit.
    ids.push("～", "🏁", "é", "Z", "a b", "-");
    await writeRules(
      server,
      ids.map((id) => ({ id, vector: [1] })),
    );
    const pages = await readPages(server, DocumentSchema, `GET ${DOCUMENTS}?limit=9`);
    expect(pages.flat().map((document) => document.id)).toEqual(ids.toSorted(byCodePoint));
    expect(pages.slice(0, -1).every((page) => page.length === 9)).toBe(true);
  });

  test("what is written and deleted between pages moves nothing else", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 1 });
    const ids = Array.from({ length: 10 }, (_, index) => `d${index}`);
    await writeRules(
      server,
      ids.map((id) => ({ id, vector: [1] })),
    );
    const first = readDocuments(await server.call(`GET ${DOCUMENTS}?limit=4`));
    expect(first.items.map((document) => document.id)).toEqual(["d0", "d1", "d2", "d3"]);
    await server.call(`POST ${DOCUMENTS}/delete`, { ids: ["d0", "d3", "d5"] });
    await writeRules(
      server,
      ["a", "d41", "e"].map((id) => ({ id, vector: [1] })),
    );
    const target = `GET ${DOCUMENTS}?limit=50&cursor=${first.next_cursor}`;
    const rest = readDocuments(await server.call(target));
    expect(rest.items.map((document) => document.id)).toEqual([
      "d4",
      "d41",
      "d6",
      "d7",
      "d8",
      "d9",
      "e",
    ]);
    expect(rest.next_cursor).toBeNull();
  });

  test("a filter pages through what matches", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 1 });
    const documents = Array.from({ length: 60 }, (_, index) => ({
      id: `d${String(index).padStart(2, "0")}`,
      vector: [1],
      metadata: { lap: index % 3 },
    }));
    await writeRules(server, documents);
    const filter = encodeURIComponent(JSON.stringify({ lap: 1 }));
    const pages = await readPages(
      server,
      DocumentSchema,
      `GET ${DOCUMENTS}?limit=6&filter=${filter}`,
    );
    expect(pages.map((page) => page.length)).toEqual([6, 6, 6, 2]);
    const wanted = documents.filter(({ metadata }) => metadata.lap === 1).map(({ id }) => id);
    expect(pages.flat().map((document) => document.id)).toEqual(wanted);
  });

  test("a cursor, a limit and a filter that are none are refused", async () => {
    await using server = await startServer();
    await createRules(server);
    await expectRefused(server, {
      "a cursor of another alphabet": { ...list("cursor=%2B%2F"), code: "invalid_request" },
      "a cursor that is no UTF-8": { ...list("cursor=_w"), code: "invalid_request" },
      "limit 0": { ...list("limit=0"), code: "invalid_request" },
      "a filter that is no JSON": { ...list("filter=%7B"), code: "malformed_json" },
      "a filter that is a list": { ...list("filter=%5B%5D"), code: "invalid_filter" },
      "a filter that is a number": { ...list("filter=7"), code: "invalid_filter" },
      "a filter with an unknown operator": {
        ...list("filter=%7B%22a%22%3A%7B%22%24like%22%3A1%7D%7D"),
        code: "invalid_filter",
      },
    });
  });
});

describe("delete many", () => {
  test("by ids: those that exist, each counted once, and no search finds them again", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(
      server,
      ["a", "b", "c", "d"].map((id) => ({ id, text: `flag ${id}` })),
    );
    const result = read(
      DeleteResultSchema,
      await server.call(`POST ${DOCUMENTS}/delete`, { ids: ["b", "gone", "c", "b"] }),
    );
    expect(result).toEqual({ deleted: 2, sequence: 6 });
    for (const mode of ["hybrid", "semantic", "keyword"]) {
      const found = idsOf(await server.call(SEARCH, { query: "flag", mode }));
      expect(found.toSorted()).toEqual(["a", "d"]);
    }
  });

  test("by filter: all that match and nothing else, however many", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 1 });
    const documents = Array.from({ length: 450 }, (_, index) => ({
      id: `d${index}`,
      vector: [1],
      metadata: { odd: index % 2 === 1 },
    }));
    await writeRules(server, documents);
    const remove = async (filter: unknown) =>
      read(DeleteResultSchema, await server.call(`POST ${DOCUMENTS}/delete`, { filter })).deleted;
    expect(await remove({ odd: true })).toBe(225);
    expect(await remove({ odd: true })).toBe(0);
    const left = readDocuments(await server.call(`GET ${DOCUMENTS}?limit=1000`)).items;
    expect(left.every((document) => document.metadata["odd"] === false)).toBe(true);
    expect(left).toHaveLength(225);
    expect(await remove({})).toBe(225);
  });

  test("needs ids or a filter, and not both", async () => {
    await using server = await startServer();
    await createRules(server);
    const refused = {
      target: `POST ${DOCUMENTS}/delete`,
      status: 400,
      code: "invalid_request",
    } as const;
    await expectRefused(server, {
      neither: { ...refused, body: {} },
      both: { ...refused, body: { ids: ["a"], filter: {} } },
      "no ids": { ...refused, body: { ids: [] } },
      "an empty id": { ...refused, body: { ids: [""] } },
      "too many ids": { ...refused, body: { ids: Array(1001).fill("a") } },
      "an unknown field": { ...refused, body: { ids: ["a"], all: true } },
      "a filter that is a list": { ...refused, body: { filter: [] } },
      "a wrong filter": { ...refused, body: { filter: { $a: 1 } }, code: "invalid_filter" },
    });
  });
});
