import { describe, expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { startServer } from "../support/server.ts";
import {
  createRules,
  expectNothingOfOurs,
  expectProblem,
  expectRefused,
  idsOf,
  readCollection,
  readDocument,
  readDocuments,
  readSearch,
  readUpsert,
  writeRules,
} from "./answers.ts";

const DOCUMENTS = "/api/v1/collections/rules/documents";
const SEARCH = "POST /api/v1/collections/rules/search";

/** Ids that a path must be able to carry; `delete` is also the name of a route. */
const ODD_IDS = ["a/b", "50%", "a b", "règle-é", "🏁", "delete", "?q=1", "#", "a\nb", "+", "日本"];

describe("upsert", () => {
  test("answers one item a document, in order, each with its id and whether it is new", async () => {
    await using server = await startServer();
    await createRules(server);
    const first = readUpsert(
      await server.call(`POST ${DOCUMENTS}`, {
        documents: [{ id: "b", text: "two" }, { text: "no id" }, { id: "a", title: "one" }],
      }),
    );
    expect(first).toMatchObject({ upserted: 3, sequence: 3 });
    const made = first.items[1]?.id ?? "";
    expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    expect(first.items.map(({ id, status }) => [id, status])).toEqual([
      ["b", "created"],
      [made, "created"],
      ["a", "created"],
    ]);
    const second = readUpsert(
      await server.call(`POST ${DOCUMENTS}`, {
        documents: [
          { id: "a", text: "again" },
          { id: "c", text: "three" },
          { id: "c", text: "four" },
        ],
      }),
    );
    expect(second.sequence).toBe(6);
    expect(second.items.map(({ id, status }) => [id, status])).toEqual([
      ["a", "replaced"],
      ["c", "created"],
      ["c", "replaced"],
    ]);
    expect(readDocument(await server.call(`GET ${DOCUMENTS}/c`)).text).toBe("four");
    expect(readDocument(await server.call(`GET ${DOCUMENTS}/${made}`)).text).toBe("no id");
  });

  test("keyword search sees a document at once; wait=indexed answers when meaning does", async () => {
    await using server = await startServer();
    await createRules(server);
    const documents = Array.from({ length: 200 }, (_, index) => ({
      id: `d${index}`,
      text: `The marshal at post ${index} waves the yellow flag.`,
    }));
    readUpsert(await server.call(`POST ${DOCUMENTS}`, { documents }));
    const words = { query: "marshal", mode: "keyword", k: 1000 };
    expect(idsOf(await server.call(SEARCH, words))).toHaveLength(200);
    const waited = readUpsert(
      await server.call(`POST ${DOCUMENTS}?wait=indexed`, {
        documents: [{ id: "late", text: "The car is recovered by a crane." }],
      }),
    );
    expect(waited.pending_embeddings).toBe(0);
    const meaning = { query: "crane recovery vehicle", mode: "semantic", k: 1 };
    const hit = readSearch(await server.call(SEARCH, meaning)).hits[0];
    expect(hit).toMatchObject({ id: "late" });
    expect(hit?.score).toBeGreaterThan(0.3);
  });

  test("the same id replaces: the old words and the old meaning are gone", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(server, [
      { id: "a", title: "Flags", text: "The red flag.", metadata: { x: 1 } },
    ]);
    const before = readDocument(await server.call(`GET ${DOCUMENTS}/a`));
    await writeRules(server, [{ id: "a", text: "A pit stop changes tyres." }]);
    const after = readDocument(await server.call(`GET ${DOCUMENTS}/a`));
    expect(after).toMatchObject({
      id: "a",
      title: null,
      text: "A pit stop changes tyres.",
      metadata: {},
      chunks: 1,
      sequence: 2,
      created_at: before.created_at,
    });
    for (const query of ["red", "flags"]) {
      expect(idsOf(await server.call(SEARCH, { query, mode: "keyword" }))).toEqual([]);
    }
    expect(idsOf(await server.call(SEARCH, { query: "tyre", mode: "keyword" }))).toEqual(["a"]);
    const semantic = async (query: string) =>
      readSearch(await server.call(SEARCH, { query, mode: "semantic" })).hits[0]?.score ?? 0;
    expect(await semantic("pit stop")).toBeGreaterThan((await semantic("red flag")) + 0.1);
    expect(readCollection(await server.call("GET /api/v1/collections/rules"))).toMatchObject({
      documents: 1,
      chunks: 1,
    });
  });

  test("an update of metadata alone keeps the vectors", async () => {
    await using server = await startServer();
    await createRules(server);
    const texts = Array.from({ length: 300 }, (_, index) => `The marshal at post ${index}.`);
    const documents = (lap: number) =>
      texts.map((text, id) => ({ id: `d${id}`, text, metadata: { lap } }));
    await writeRules(server, documents(1));
    const query = { query: "marshal", mode: "semantic", k: 1000, filter: { lap: 1 } };
    const before = readSearch(await server.call(SEARCH, query)).hits;
    const updated = readUpsert(await server.call(`POST ${DOCUMENTS}`, { documents: documents(2) }));
    expect(updated.pending_embeddings).toBe(0);
    expect(readSearch(await server.call(SEARCH, query)).hits).toEqual([]);
    const after = readSearch(await server.call(SEARCH, { ...query, filter: { lap: 2 } })).hits;
    expect(after.map(({ id, score }) => [id, score])).toEqual(
      before.map(({ id, score }) => [id, score]),
    );
  });

  test("a wrong document fails alone and says why without repeating it", async () => {
    await using server = await startServer();
    await createRules(server);
    const wrong: [code: string, document: unknown][] = [
      ["invalid_request", "a text"],
      ["invalid_request", null],
      ["invalid_request", []],
      ["invalid_request", { id: 7, text: "x" }],
      ["invalid_request", { id: "", text: "x" }],
      ["invalid_request", { id: "w", text: "x", SECRET: 1 }],
      ["invalid_request", { id: "w", text: ["SECRET"] }],
      ["invalid_request", { id: "w", text: "x", metadata: "SECRET" }],
      ["invalid_request", { id: "w", text: "x", metadata: ["SECRET"] }],
      ["invalid_request", { id: "w", text: "x", metadata: null }],
      ["vector_not_accepted", { id: "w", text: "x", vector: [1] }],
      ["empty_text", { id: "w" }],
      ["empty_text", { id: "w", title: " ", text: "\n" }],
      ["invalid_text", { id: "w", text: "SECRET\0" }],
      ["invalid_text", { id: "w", text: "SECRET\ud800" }],
      ["invalid_text", { id: "w", text: "x", title: "SECRET\udc00" }],
      ["invalid_text", { id: "w\0", text: "x" }],
      ["invalid_text", { id: "w", text: "x", metadata: { SECRET: "\ud800" } }],
      ["invalid_text", { id: "w", text: "x", metadata: { "SECRET\0": 1 } }],
      ["too_large", { id: "SECRET".repeat(86), text: "x" }],
      ["too_large", { id: "w", text: "x", title: "é".repeat(limits.titleBytesMax / 2) + "x" }],
      ["too_large", { id: "w", text: "x".repeat(limits.textBytesMax + 1) }],
      ["too_large", { id: "w", text: "x", metadata: { s: "x".repeat(limits.metadataBytesMax) } }],
    ];
    const documents = [
      { id: "first", text: "x" },
      ...wrong.map(([, one]) => one),
      { id: "last", text: "x" },
    ];
    const answer = await server.call(`POST ${DOCUMENTS}`, { documents });
    const { items, upserted } = readUpsert(answer);
    expect(upserted).toBe(2);
    expect(items.map((item) => item.error?.code ?? item.status)).toEqual([
      "created",
      ...wrong.map(([code]) => code),
      "created",
    ]);
    expect(answer.text).not.toContain("SECRET");
    expectNothingOfOurs(answer.text);
    const state = readCollection(await server.call("GET /api/v1/collections/rules"));
    expect(state.documents).toBe(2);
  });

  test("a number that JSON cannot hold is refused in metadata", async () => {
    await using server = await startServer();
    await createRules(server);
    const body =
      '{"documents":[{"id":"a","text":"x","metadata":{"n":[1e999]}},{"id":"b","text":"x"}]}';
    const { items } = readUpsert(await server.call(`POST ${DOCUMENTS}`, body));
    expect(items.map((item) => item.error?.code ?? item.status)).toEqual([
      "invalid_request",
      "created",
    ]);
  });

  test("the request around the documents is checked as a whole", async () => {
    await using server = await startServer();
    await createRules(server);
    const target = `POST ${DOCUMENTS}`;
    const one = { id: "a", text: "b" };
    const refused = { target, status: 400, code: "invalid_request" } as const;
    await expectRefused(server, {
      "no documents": { ...refused, body: { documents: [] } },
      "too many documents": {
        ...refused,
        body: { documents: Array.from({ length: 1001 }, () => one) },
      },
      "documents that are no list": { ...refused, body: { documents: one } },
      "a list alone": { ...refused, body: [one] },
      "no body": refused,
      "an unknown field": { ...refused, body: { documents: [one], upsert: true } },
      "an unknown wait": { ...refused, target: `${target}?wait=done`, body: { documents: [one] } },
      "an unknown query": { ...refused, target: `${target}?sync=1`, body: { documents: [one] } },
    });
    expect((await server.call(`GET ${DOCUMENTS}`)).json).toMatchObject({ items: [] });
  });

  test("a thousand documents in one request are written", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 2 });
    const documents = Array.from({ length: 1000 }, (_, id) => ({ id: `d${id}`, vector: [1, id] }));
    expect(readUpsert(await server.call(`POST ${DOCUMENTS}`, { documents })).upserted).toBe(1000);
  });
});

describe("read and delete one", () => {
  test("a document comes back as it was sent, whatever it holds", async () => {
    await using server = await startServer();
    await createRules(server);
    const paragraph =
      "Le 🏁 drapeau — e\u0301 é ﬁ 日本語\u2028 est agité.\r\n\tLa course s'arrête. ";
    const text = `  # Règles\n\n${paragraph.repeat(300)}\n\n## Fin\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n`;
    const metadata = JSON.parse(
      '{"__proto__":{"a":1},"constructor":"x","a.b":null,"":[],"n":[0,-1.5,1e21,true,false,null,{"d":["é"]}]}',
    );
    await writeRules(server, [{ id: "a", title: " Règles 🏁 ", text, metadata }]);
    const answer = await server.call(`GET ${DOCUMENTS}/a`);
    const document = readDocument(answer);
    expect(document.text).toBe(text);
    expect(document.title).toBe(" Règles 🏁 ");
    expect(JSON.stringify(document.metadata)).toBe(JSON.stringify(metadata));
    expect(document.chunks).toBeGreaterThan(3);
    expect(document.pending_embeddings).toBe(0);
  });

  test("chunks that overlap give the text back once", async () => {
    await using server = await startServer();
    await createRules(server, { chunking: { tokens_max: 32, tokens_overlap: 16 } });
    const text = Array.from({ length: 60 }, (_, lap) => `On lap ${lap} the leader pits.`).join(" ");
    await writeRules(server, [{ id: "a", text }]);
    expect(readDocument(await server.call(`GET ${DOCUMENTS}/a`)).text).toBe(text);
  });

  test("an odd id is found and deleted under its own path and no other", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(
      server,
      ODD_IDS.map((id) => ({ id, text: `text of ${id}` })),
    );
    for (const [index, id] of ODD_IDS.entries()) {
      const path = `${DOCUMENTS}/${encodeURIComponent(id)}`;
      expect(readDocument(await server.call(`GET ${path}`))).toMatchObject({
        id,
        text: `text of ${id}`,
      });
      const deleted = await server.call(`DELETE ${path}`);
      expect([id, deleted.status, deleted.text]).toEqual([id, 204, ""]);
      expectProblem(await server.call(`GET ${path}`), 404, "document_not_found");
      expectProblem(await server.call(`DELETE ${path}`), 404, "document_not_found");
      expect(readDocuments(await server.call(`GET ${DOCUMENTS}`)).items).toHaveLength(
        ODD_IDS.length - index - 1,
      );
    }
  });

  test("an id that is no valid escape is refused", async () => {
    await using server = await startServer();
    await createRules(server);
    for (const id of ["%zz", "%E0%A4%A", "%ff"]) {
      const answer = await server.call(`GET ${DOCUMENTS}/${id}`);
      expectProblem(answer, 400, "invalid_request");
    }
  });
});
