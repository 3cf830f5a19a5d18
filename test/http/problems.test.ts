import { describe, expect, test } from "bun:test";
import { PROBLEMS } from "../../src/problems.ts";
import { startServer } from "../support/server.ts";
import {
  createRules,
  expectProblem,
  expectRefused,
  expectNothingOfOurs,
  readCollection,
} from "./answers.ts";
import { openRaw } from "./raw-connection.ts";

const CREATE = "POST /api/v1/collections";
const SEARCH = "POST /api/v1/collections/rules/search";
const DOCUMENTS = "POST /api/v1/collections/rules/documents";

describe("a body that cannot be read", () => {
  test("is refused with the reason, on every kind of route", async () => {
    await using server = await startServer();
    await createRules(server);
    const json = { "content-type": "application/json" };
    for (const target of [CREATE, SEARCH, DOCUMENTS, "PATCH /api/v1/collections/rules"]) {
      const broken = (body: string | Uint8Array) => ({ target, body, headers: json, status: 400 });
      await expectRefused(server, {
        "half an object": { ...broken('{"name":'), code: "malformed_json" },
        "two values": { ...broken("{} {}"), code: "malformed_json" },
        "a trailing comma": { ...broken('{"name":"a",}'), code: "malformed_json" },
        "a comment": { ...broken('{/*x*/"name":"a"}'), code: "malformed_json" },
        NaN: { ...broken('{"k":NaN}'), code: "malformed_json" },
        "a NUL": { ...broken('{"name":"a"}\0'), code: "malformed_json" },
        words: { ...broken("name=a"), code: "malformed_json" },
        "a form": {
          ...broken("name=a"),
          headers: { "content-type": "application/x-www-form-urlencoded" },
          status: 415,
          code: "unsupported_media_type",
        },
        "bytes that are no UTF-8": {
          ...broken(Buffer.from('{"name":"\u00ff"}', "latin1")),
          code: "invalid_text",
        },
        "UTF-16": { ...broken(Buffer.from('{"name":"a"}', "utf16le")), code: "malformed_json" },
        "a cut character": { ...broken(Buffer.from('"é"').subarray(0, 2)), code: "invalid_text" },
        "a million brackets": { ...broken("[".repeat(1_000_000)), code: "too_deep" },
        "a million objects": { ...broken('{"a":'.repeat(200_000)), code: "too_deep" },
        "33 levels": { ...broken("[".repeat(33) + "]".repeat(33)), code: "too_deep" },
        "32 levels of the wrong shape": {
          ...broken("[".repeat(32) + "]".repeat(32)),
          code: "invalid_request",
        },
      });
    }
  });

  test("with a type that is not JSON, or compressed, is refused", async () => {
    await using server = await startServer();
    const body = '{"name":"a"}';
    const refused = (headers: Record<string, string>, bytes: string | Uint8Array = body) =>
      ({
        target: CREATE,
        body: bytes,
        headers,
        status: 415,
        code: "unsupported_media_type",
      }) as const;
    await expectRefused(server, {
      text: refused({ "content-type": "text/plain" }),
      "a form": refused({ "content-type": "application/x-www-form-urlencoded" }),
      "a multipart form": refused({ "content-type": "multipart/form-data; boundary=x" }),
      xml: refused({ "content-type": "application/xml" }),
      "an empty type": refused({ "content-type": "" }),
      "nearly JSON": refused({ "content-type": "application/jsonx" }),
      gzip: refused({ "content-encoding": "gzip" }, Bun.gzipSync(body)),
      br: refused({ "content-encoding": "br" }),
      "gzip, then nothing": refused({ "content-encoding": "gzip, identity" }),
      "gzip in name only": refused({ "content-encoding": "GZIP" }),
    });
    expect((await server.call("GET /api/v1/collections")).json).toMatchObject({ items: [] });
  });

  test("any JSON type is read, whatever its case and parameters", async () => {
    await using server = await startServer();
    const types = ["application/json;charset=utf-8", "Application/JSON", "application/vnd.x+json"];
    for (const [index, type] of types.entries()) {
      const headers = { "content-type": type, "content-encoding": "identity" };
      const answer = await server.call(CREATE, { name: `c${index}` }, headers);
      expect([type, answer.status]).toEqual([type, 201]);
    }
    const marked = await server.call(CREATE, '\ufeff{"name":"marked"}');
    expect(readCollection(marked).name).toBe("marked");
  });

  test("a request without a body may name a type all the same", async () => {
    await using server = await startServer();
    await createRules(server);
    const headers = { "content-type": "application/json" };
    for (const target of ["GET /api/v1/collections/rules", "DELETE /api/v1/collections/rules"]) {
      expect((await server.call(target, undefined, headers)).status).toBeLessThan(300);
    }
  });

  test("an unnamed type is refused and not guessed", async () => {
    await using server = await startServer();
    using connection = await openRaw(server.url);
    connection.write(
      "POST /api/v1/collections HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\nConnection: close\r\n\r\n" +
        '{"name":"a"}',
    );
    const text = await connection.untilClosed();
    expect(text).toMatch(/^HTTP\/1\.1 415 /);
    expect(text).toContain('"code":"unsupported_media_type"');
  });
});

describe("nothing of the input comes back", () => {
  const MARKER = "MARKER-7f3a";

  test("however large it is and wherever it stands", async () => {
    await using server = await startServer();
    await createRules(server);
    const list = Array.from({ length: 60_000 }, () => MARKER);
    const text = MARKER.repeat(80_000);
    const bodies: [target: string, body: unknown][] = [
      [CREATE, list],
      [CREATE, { name: list }],
      [CREATE, { name: text }],
      [CREATE, { name: "a", model: MARKER }],
      [CREATE, { name: "a", chunking: { strategy: MARKER, tokens_max: MARKER } }],
      [CREATE, JSON.stringify(text).slice(0, -1)],
      [SEARCH, list],
      [SEARCH, { query: "x", filter: list }],
      [SEARCH, { query: "x", filter: { a: { [`$${MARKER}`.repeat(9)]: 1 } } }],
      [SEARCH, { query: "x", filter: { a: { $in: text } } }],
      [SEARCH, { query: "x", vector: list }],
      [SEARCH, { query: "x", mode: text }],
      [SEARCH, { query: text }],
      [DOCUMENTS, list],
      [DOCUMENTS, { documents: text }],
      ["POST /v1/embeddings", { model: MARKER, input: "x" }],
      ["POST /v1/embeddings", { model: "static-256", input: list.map(() => [MARKER]) }],
      ["POST /api/v1/search/multi", { searches: list }],
      [`GET /api/v1/collections/${MARKER}`, undefined],
      [`GET /api/v1/collections?cursor=${MARKER}!`, undefined],
      [`GET /${MARKER}`, undefined],
      [`PUT /api/v1/collections/rules/documents/${MARKER}`, undefined],
      [`GET /problems/${MARKER}`, undefined],
    ];
    for (const [target, body] of bodies) {
      const answer = await server.call(target, body);
      expect([target, Math.floor(answer.status / 100)]).toEqual([target, 4]);
      expect(answer.text).not.toContain(MARKER);
      expect(answer.text.length).toBeLessThan(4096);
      expectNothingOfOurs(answer.text);
    }
    expect(await server.log()).toBe("");
  });

  test("a thousand wrong items in a list give ten errors and a detail for the first", async () => {
    await using server = await startServer();
    await createRules(server);
    const fields = Array.from({ length: 3 }, () => "colour");
    const searches = Array.from({ length: 32 }, () => ({ collection: "rules", fields, k: 0 }));
    const answer = await server.call("POST /api/v1/search/multi", { searches });
    const problem = expectProblem(answer, 400, "invalid_request");
    expect(problem.errors).toHaveLength(10);
    expect(problem.errors[0]?.field).toStartWith("/searches/0/");
    expect(problem.detail).toContain(problem.errors[0]?.field ?? "?");
  });
});

describe("paths and methods", () => {
  test("a path that is nothing is not found; one with other methods says which", async () => {
    await using server = await startServer();
    await createRules(server);
    const gone = [
      "/",
      "/api",
      "/api/v1",
      "/api/v1/nothing",
      "/API/v1/collections",
      "/healthz",
      "/%00",
      "//",
      "/problems",
    ];
    for (const path of gone) {
      const answer = await server.call(`GET ${path}`);
      expectProblem(answer, 404, "not_found");
      expect(answer.headers.get("allow")).toBeNull();
    }
    const allowed: [target: string, allow: string][] = [
      ["PUT /api/v1/collections", "GET, POST"],
      ["PUT /api/v1/collections/", "GET, POST"],
      ["DELETE /api/v1/collections", "GET, POST"],
      ["POST /api/v1/collections/rules", "DELETE, GET, PATCH"],
      ["PATCH /api/v1/collections/rules/documents", "GET, POST"],
      ["POST /api/v1/collections/rules/documents/a", "DELETE, GET"],
      ["PUT /api/v1/collections/rules/documents/delete", "DELETE, GET, POST"],
      ["PUT /api/v1/collections/rules/search", "GET, POST"],
      ["GET /api/v1/search/multi", "POST"],
      ["POST /api/v1/aliases", "GET"],
      ["GET /api/v1/aliases/a", "DELETE, PUT"],
      ["POST /health/live", "GET"],
      ["POST /version", "GET"],
      ["DELETE /problems/not_found", "GET"],
      ["POST /api/docs", "GET"],
      ["POST /api/openapi.json", "GET"],
      ["OPTIONS /api/v1/collections", "GET, POST"],
    ];
    const got: typeof allowed = [];
    for (const [target] of allowed) {
      const answer = await server.call(target);
      expectProblem(answer, 405, "method_not_allowed");
      got.push([target, answer.headers.get("allow") ?? ""]);
    }
    expect(got).toEqual(allowed);
  });

  test("HEAD is GET without a body", async () => {
    await using server = await startServer();
    await createRules(server);
    for (const path of [
      "/api/v1/collections",
      "/health/ready",
      "/api/docs",
      "/version",
      "/nothing",
    ]) {
      const get = await server.call(`GET ${path}`);
      const head = await server.call(`HEAD ${path}`);
      expect([path, head.status, head.text]).toEqual([path, get.status, ""]);
      expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
    }
    const post = await server.call("HEAD /api/v1/search/multi");
    expect([post.status, post.text, post.headers.get("allow")]).toEqual([405, "", "POST"]);
  });

  test("the length of the host's name changes nothing", async () => {
    await using server = await startServer();
    for (const host of ["a", "ab", "api", "docs", "search.example.org:8000", "[::1]:8000"]) {
      using connection = await openRaw(server.url);
      connection.write(
        `GET /api/v1/collections?limit=5 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
      const text = await connection.untilClosed();
      expect([host, text.split("\r\n")[0]]).toEqual([host, "HTTP/1.1 200 OK"]);
    }
  });

  test("what only a raw socket sends is answered or refused, and is never our failure", async () => {
    await using server = await startServer();
    const heads = [
      "GET /health/live HTTP/1.0\r\n\r\n",
      "GET /api/v1/collections HTTP/1.0\r\n\r\n",
      "POST /api/v1/collections HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
      "GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n",
      "GET /health/live HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
      "GET /health/live HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
      "GET /health/live HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n",
      "GET http://localhost/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "GET //health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "GET /health/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "GET /api/v1/collections?limit=%ZZ&cursor=%E0%A4%A HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "GET /api/v1/collections/%2e%2e/documents HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ];
    const failures: string[] = [];
    for (const head of heads) {
      using connection = await openRaw(server.url);
      connection.write(head);
      const text = await connection.untilClosed();
      if (!/^HTTP\/1\.[01] [234]\d\d /.test(text)) failures.push(`${head} -> ${text}`);
    }
    expect(failures).toEqual([]);
    expect((await server.call("GET /health/live")).status).toBe(200);
    expect(await server.log()).toBe("");
  });
});

test("every code of the catalogue has its page, as the type of a problem says", async () => {
  await using server = await startServer();
  for (const [code, { status, title, retry }] of Object.entries(PROBLEMS)) {
    const answer = await server.call(`GET /problems/${code}`);
    expect([answer.status, answer.json]).toEqual([200, { code, status, title, retry }]);
  }
  for (const code of ["nope", "__proto__", "constructor", "toString", "not%20found"]) {
    expectProblem(await server.call(`GET /problems/${code}`), 404, "problem_not_found");
  }
});
