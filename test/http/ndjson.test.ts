import { describe, expect, test } from "bun:test";
import { Type } from "@sinclair/typebox";
import { ItemErrorSchema } from "../../src/contract/documents.ts";
import { limits } from "../../src/limits.ts";
import { shaped, startServer, type Answer } from "../support/server.ts";
import {
  createRules,
  expectNothingOfOurs,
  expectProblem,
  expectRefused,
  idsOf,
  readCollection,
  readDocument,
  readDocuments,
} from "./answers.ts";
import { openRaw } from "./raw-connection.ts";

const PATH = "/api/v1/collections/rules/documents";
const STREAM_HEAD = `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`;
const NDJSON = { "content-type": "application/x-ndjson" };

const LineSchema = Type.Object(
  {
    line: Type.Integer(),
    id: Type.Union([Type.String(), Type.Null()]),
    status: Type.String(),
    error: Type.Optional(ItemErrorSchema),
  },
  { additionalProperties: false },
);
const SummarySchema = Type.Object(
  {
    done: Type.Literal(true),
    upserted: Type.Integer(),
    failed: Type.Integer(),
    sequence: Type.Integer(),
    pending_embeddings: Type.Integer(),
  },
  { additionalProperties: false },
);

/** The result lines of a stream that ended well, and its summary. */
function resultsOf(answer: Answer) {
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  expect(answer.headers.get("x-request-id")).toMatch(/^[\w-]+$/);
  const values = answer.text
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  const summary = shaped(SummarySchema, values.at(-1));
  const lines = values.slice(0, -1).map((value) => shaped(LineSchema, value));
  expect(summary.failed).toBe(lines.filter((line) => line.status === "failed").length);
  expect(summary.upserted + summary.failed).toBe(lines.length);
  return { lines, summary };
}

/** Bytes in pieces of a size that divides neither lines nor characters evenly. */
function inPieces(text: string, pieceBytes: number): ReadableStream<Uint8Array> {
  const bytes = Buffer.from(text);
  let start = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.subarray(start, start + pieceBytes));
      start += pieceBytes;
      if (start >= bytes.length) controller.close();
    },
  });
}

describe("lines", () => {
  test("one result a line, in order; blank lines and CRLF are no documents", async () => {
    await using server = await startServer();
    await createRules(server);
    const body = [
      '\ufeff{"id":"a","text":"red flag"}',
      "",
      '{"id":"b","text":"green flag"}\r',
      " \t\r",
      '  {"text":"no id"}  ',
      '{"id":"a","text":"blue flag"}',
    ].join("\n");
    const { lines, summary } = resultsOf(
      await server.call(`POST ${PATH}?wait=indexed`, body, NDJSON),
    );
    const made = lines[2]?.id ?? "";
    expect(lines).toEqual([
      { line: 1, id: "a", status: "created" },
      { line: 3, id: "b", status: "created" },
      { line: 5, id: made, status: "created" },
      { line: 6, id: "a", status: "replaced" },
    ]);
    expect(summary).toEqual({
      done: true,
      upserted: 4,
      failed: 0,
      sequence: 4,
      pending_embeddings: 0,
    });
    expect(readDocument(await server.call(`GET ${PATH}/a`)).text).toBe("blue flag");
    expect(readDocument(await server.call(`GET ${PATH}/${made}`)).text).toBe("no id");
  });

  test("every content type of the kind is a stream, parameters and case aside", async () => {
    await using server = await startServer();
    await createRules(server);
    for (const type of [
      "application/x-ndjson; charset=utf-8",
      "Application/JSONL",
      "application/ndjson",
    ]) {
      const body = '{"id":"a","text":"flag"}\n';
      const answer = await server.call(`POST ${PATH}`, body, { "content-type": type });
      expect(resultsOf(answer).lines).toHaveLength(1);
    }
  });

  test("a body without a line is a stream without a result", async () => {
    await using server = await startServer();
    await createRules(server);
    for (const body of ["", "\n", "\r\n \n"]) {
      const { lines, summary } = resultsOf(await server.call(`POST ${PATH}`, body, NDJSON));
      expect([lines, summary.upserted, summary.failed]).toEqual([[], 0, 0]);
    }
  });

  test("a wrong line costs itself: no JSON, no UTF-8, too deep, too long, not a document", async () => {
    await using server = await startServer();
    await createRules(server);
    const parts: [code: string, bytes: string | Buffer][] = [
      ["created", '{"id":"first","text":"x"}'],
      ["malformed_json", '{"id":"SECRET","text":'],
      ["malformed_json", '{"id":"SECRET"} {"id":"SECRET"}'],
      ["malformed_json", "SECRET"],
      ["invalid_text", Buffer.from('{"id":"SECRET","text":"\u00ff"}', "latin1")],
      ["too_deep", `{"id":"SECRET","metadata":{"a":${"[".repeat(40)}${"]".repeat(40)}}}`],
      ["too_deep", "[".repeat(1_000_000)],
      ["too_large", `{"id":"SECRET","text":"${"x".repeat(limits.ndjsonLineBytesMax)}"}`],
      ["too_large", `{"id":"w","text":"${"x".repeat(limits.textBytesMax + 1)}"}`],
      ["invalid_request", "null"],
      ["invalid_request", '["SECRET"]'],
      ["invalid_request", '{"id":"w","text":"x","txet":"SECRET"}'],
      ["empty_text", '{"id":"w"}'],
      ["vector_not_accepted", '{"id":"w","vector":[1]}'],
      ["created", '{"id":"last","text":"x"}'],
    ];
    const body = Buffer.concat(
      parts.flatMap(([, bytes]) => [Buffer.from(bytes), Buffer.from("\n")]),
    );
    const answer = await server.call(`POST ${PATH}`, body, NDJSON);
    const { lines, summary } = resultsOf(answer);
    expect(lines.map(({ line, status, error }) => [line, error?.code ?? status])).toEqual(
      parts.map(([code], index) => [index + 1, code]),
    );
    expect(summary.upserted).toBe(2);
    expect(answer.text).not.toContain("SECRET");
    expectNothingOfOurs(answer.text);
    const state = readCollection(await server.call("GET /api/v1/collections/rules"));
    expect(state.documents).toBe(2);
  });

  test("a line of exactly the greatest length is read", async () => {
    await using server = await startServer();
    await createRules(server);
    const start = '{"id":"a","text":"x","metadata":{}';
    const padded = `${start}${" ".repeat(limits.ndjsonLineBytesMax - start.length - 1)}}`;
    const body = `${padded}\n${padded} \n`;
    const { lines } = resultsOf(await server.call(`POST ${PATH}`, body, NDJSON));
    expect(lines.map((line) => line.error?.code ?? line.status)).toEqual(["created", "too_large"]);
  });
});

describe("a stream", () => {
  test("of 3 MB in odd pieces is written whole and in order", async () => {
    await using server = await startServer();
    await createRules(server, { model: "none", dimensions: 2 });
    const documents = Array.from({ length: 2600 }, (_, index) => ({
      id: `d${index}`,
      text: `Größe 🏁 ${index} `.repeat(70),
      vector: [1, index],
    }));
    const body = documents.map((document) => `${JSON.stringify(document)}\n`).join("");
    expect(Buffer.byteLength(body)).toBeGreaterThan(3_000_000);
    const response = await fetch(`${server.url}${PATH}`, {
      method: "POST",
      headers: NDJSON,
      body: inPieces(body, 7_919),
    });
    const { status, headers } = response;
    const { lines, summary } = resultsOf({
      status,
      headers,
      text: await response.text(),
      json: undefined,
    });
    expect(lines).toEqual(
      documents.map(({ id }, index) => ({ line: index + 1, id, status: "created" })),
    );
    expect(summary).toMatchObject({ upserted: 2600, failed: 0, sequence: 2600 });
    const last = readDocument(await server.call(`GET ${PATH}/d2599`));
    expect(last.text).toBe(documents[2599]?.text ?? "");
  });

  test("is answered while it is sent: a line's result is there before the next line is", async () => {
    await using server = await startServer();
    await createRules(server);
    using connection = await openRaw(server.url);
    connection.write(STREAM_HEAD);
    for (const line of [1, 2, 3]) {
      connection.writeChunk(`{"id":"d${line}","text":"flag ${line}"}\n`);
      const text = await connection.until(`"line":${line},`);
      expect(text).toContain(`{"line":${line},"id":"d${line}","status":"created"}`);
      expect(text).not.toContain('"done"');
      const found = await server.call("GET /api/v1/collections/rules/search?q=flag&mode=keyword");
      expect(idsOf(found)).toHaveLength(line);
    }
    connection.writeChunk("");
    await connection.until('"done":true');
  });

  test("that breaks off has written what it was told, and half a line is no document", async () => {
    await using server = await startServer();
    await createRules(server);
    {
      using connection = await openRaw(server.url);
      connection.write(STREAM_HEAD);
      connection.writeChunk('{"id":"whole","text":"flag"}\n{"id":"half"');
      await connection.until('"id":"whole"');
    }
    const { items } = readDocuments(await server.call(`GET ${PATH}`));
    expect(items.map((document) => document.id)).toEqual(["whole"]);
    expect((await server.call("GET /health/ready")).status).toBe(200);
    expect(await server.stop()).toBe(true);
    expect(await server.log()).toBe("");
  });

  test("into a collection that is dropped meanwhile ends with a problem and writes nothing", async () => {
    await using server = await startServer();
    await createRules(server);
    using connection = await openRaw(server.url);
    connection.write(STREAM_HEAD);
    connection.writeChunk('{"id":"a","text":"flag"}\n');
    await connection.until('"line":1,');
    expect((await server.call("DELETE /api/v1/collections/rules")).status).toBe(204);
    connection.writeChunk('{"id":"b","text":"flag"}\n');
    connection.writeChunk("");
    const text = await connection.until('"done":');
    expect(text).toContain('"done":false');
    expect(text).toContain('"code":"collection_not_found"');
    expectNothingOfOurs(text);
  });

  test("is refused before its first line where the request is wrong", async () => {
    await using server = await startServer();
    await createRules(server);
    const body = '{"id":"a","text":"x"}\n';
    await expectRefused(server, {
      "an unknown collection": {
        target: "POST /api/v1/collections/gone/documents",
        body,
        headers: NDJSON,
        status: 404,
        code: "collection_not_found",
      },
      "a compressed body": {
        target: `POST ${PATH}`,
        body: Bun.gzipSync(body),
        headers: { ...NDJSON, "content-encoding": "gzip" },
        status: 415,
        code: "unsupported_media_type",
      },
      "an unknown wait": {
        target: `POST ${PATH}?wait=done`,
        body,
        headers: NDJSON,
        status: 400,
        code: "invalid_request",
      },
      "a bad key": {
        target: `POST ${PATH}`,
        body,
        headers: { ...NDJSON, "idempotency-key": "clé" },
        status: 400,
        code: "invalid_request",
      },
    });
    expect(readDocuments(await server.call(`GET ${PATH}`)).items).toEqual([]);
  });

  test("goes to no other path: elsewhere the content type is refused", async () => {
    await using server = await startServer();
    await createRules(server);
    const search = "POST /api/v1/collections/rules/search";
    const answer = await server.call(search, '{"query":"x"}', NDJSON);
    expectProblem(answer, 415, "unsupported_media_type");
  });
});

describe("Idempotency-Key on a stream", () => {
  const body = '{"text":"red flag"}\n\n{"id":"b","text":"green flag"}\n{"text":"blue flag"}\n';
  const headers = { ...NDJSON, "idempotency-key": "k-1" };

  test("sent again, documents without an id get the same ids and are not doubled", async () => {
    await using server = await startServer();
    await createRules(server);
    const first = resultsOf(await server.call(`POST ${PATH}`, body, headers)).lines;
    const again = resultsOf(await server.call(`POST ${PATH}`, body, headers)).lines;
    expect(again.map((line) => line.id)).toEqual(first.map((line) => line.id));
    expect(again.map((line) => line.status)).toEqual(Array(3).fill("replaced"));
    expect(readDocuments(await server.call(`GET ${PATH}`)).items).toHaveLength(3);
  });

  test("cut off and sent again, what was written is found again", async () => {
    await using server = await startServer();
    await createRules(server);
    const half = body.slice(0, body.indexOf("\n") + 1);
    const [first] = resultsOf(await server.call(`POST ${PATH}`, half, headers)).lines;
    const again = resultsOf(await server.call(`POST ${PATH}`, body, headers)).lines;
    expect(again.map((line) => line.status)).toEqual(["replaced", "created", "created"]);
    expect(again[0]?.id).toBe(first?.id ?? "");
  });

  test("without a key, or with another, they are new documents", async () => {
    await using server = await startServer();
    await createRules(server);
    await server.call(`POST ${PATH}`, body, headers);
    await server.call(`POST ${PATH}`, body, { ...NDJSON, "idempotency-key": "k-2" });
    await server.call(`POST ${PATH}`, body, NDJSON);
    expect(readDocuments(await server.call(`GET ${PATH}`)).items).toHaveLength(7);
  });
});
