import { describe, expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { startServer } from "../support/server.ts";
import { createRules, expectProblem, readDocument, readUpsert } from "./answers.ts";
import { openRaw } from "./raw-connection.ts";

const DOCUMENTS = "POST /api/v1/collections/rules/documents";

/** A request of exactly this many bytes that is right but for its size. */
function bodyOf(bytes: number): string {
  const start = '{"documents":[{"id":"a","vector":[1]}]';
  return `${start}${" ".repeat(bytes - start.length - 1)}}`;
}

describe("the size of a body", () => {
  test("is bounded: the greatest is taken, a byte more is not", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 1 });
    const greatest = bodyOf(limits.jsonBodyBytesMax);
    expect(readUpsert(await server.call(DOCUMENTS, greatest)).upserted).toBe(1);
    const answer = await server.call(DOCUMENTS, bodyOf(limits.jsonBodyBytesMax + 1));
    expectProblem(answer, 413, "too_large");
  });

  test("is refused by Content-Length before a byte of it is sent", async () => {
    await using server = await startServer();
    await createRules(server);
    using connection = await openRaw(server.url);
    connection.write(
      "POST /api/v1/collections/rules/documents HTTP/1.1\r\nHost: localhost\r\n" +
        `Content-Type: application/json\r\nContent-Length: ${limits.jsonBodyBytesMax + 1}\r\n\r\n`,
    );
    const text = await connection.until('"code":');
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toMatch(/content-type: application\/problem\+json/i);
    expect(text).toContain('"code":"too_large"');
  });

  test("is refused while it is sent in chunks, without its end", async () => {
    await using server = await startServer();
    await createRules(server);
    using connection = await openRaw(server.url);
    connection.write(
      "POST /api/v1/collections/rules/documents HTTP/1.1\r\nHost: localhost\r\n" +
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    const chunk = " ".repeat(1024 * 1024);
    for (let sent = 0; sent <= limits.jsonBodyBytesMax; sent += chunk.length) {
      connection.writeChunk(chunk);
    }
    const text = await connection.until('"code":');
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toContain('"code":"too_large"');
    expect((await server.call("GET /api/v1/collections/rules")).status).toBe(200);
  });

  test.each([
    ["documents", "0"],
    ["search", "0"],
    ["search", "1"],
  ])(
    "a body of %s that ends early is no request, with ENGINES=%s, and the server goes on",
    async (path, ENGINES) => {
      await using server = await startServer({ env: { ENGINES } });
      await createRules(server);
      {
        using connection = await openRaw(server.url);
        connection.write(
          `POST /api/v1/collections/rules/${path} HTTP/1.1\r\nHost: localhost\r\n` +
            'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"documents":[{"id":"a"',
        );
      }
      const list = await server.call("GET /api/v1/collections/rules/documents");
      expect(list.json).toMatchObject({ items: [] });
      expect(await server.stop()).toBe(true);
      expect(await server.log()).toBe("");
    },
  );
});

test("a document at every bound is kept whole", async () => {
  await using server = await startServer();
  await createRules(server, { model: "none", dimensions: 1 });
  const id = "é".repeat(limits.documentIdBytesMax / 2);
  const document = {
    id,
    title: "é".repeat(limits.titleBytesMax / 2),
    text: "🏁".repeat(limits.textBytesMax / 4),
    metadata: { s: "x".repeat(limits.metadataBytesMax - '{"s":""}'.length) },
    vector: [1],
  };
  const { items } = readUpsert(await server.call(DOCUMENTS, { documents: [document] }));
  expect(items).toEqual([{ id, status: "created" }]);
  const path = `GET /api/v1/collections/rules/documents/${encodeURIComponent(id)}`;
  const kept = readDocument(await server.call(path));
  expect(kept.title).toBe(document.title);
  expect(kept.text === document.text).toBe(true);
  expect(kept.metadata).toEqual(document.metadata);
});

test("the number of aliases is bounded, and a swap or a removal needs no room", async () => {
  await using server = await startServer();
  await createRules(server);
  await server.call("POST /api/v1/collections", { name: "other" });
  const put = (name: string, collection: string) =>
    server.call(`PUT /api/v1/aliases/${name}`, { collection });
  for (let start = 0; start < limits.aliasesMax; start += 100) {
    const names = Array.from({ length: 100 }, (_, index) => `a${start + index}`);
    const answers = await Promise.all(names.map((name) => put(name, "rules")));
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
  }
  expectProblem(await put("late", "rules"), 422, "limit_reached");
  expect((await put("a0", "other")).status).toBe(200);
  expect((await server.call("DELETE /api/v1/aliases/a1")).status).toBe(204);
  expect((await put("late", "rules")).status).toBe(200);
}, 20_000);
