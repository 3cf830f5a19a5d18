import { expect, test } from "bun:test";
import { startServer } from "../support/server.ts";
import { openRaw } from "./raw-connection.ts";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const REQUESTS: [status: number, target: string, body?: unknown, type?: string][] = [
  [200, "GET /health/live"],
  [200, "GET /api/v1/collections"],
  [201, "POST /api/v1/collections", { name: "rules" }],
  [409, "POST /api/v1/collections", { name: "rules" }],
  [200, "POST /api/v1/collections/rules/documents", "{}\n", "application/x-ndjson"],
  [204, "DELETE /api/v1/collections/rules"],
  [200, "HEAD /api/v1/collections"],
  [200, "GET /api/docs"],
  [200, "GET /api/openapi.json"],
  [400, "POST /api/v1/collections", "{"],
  [400, "POST /api/v1/collections", {}],
  [400, "POST /v1/embeddings", {}],
  [404, "GET /nothing/here"],
  [404, "GET /api/v1/collections/gone"],
  [405, "PUT /api/v1/collections"],
  [413, "POST /api/v1/collections", "x".repeat(9_000_000)],
  [415, "POST /api/v1/collections", "name=x", "text/plain"],
];

test("every answer carries an id: the caller's, or a fresh UUID that the body repeats", async () => {
  await using server = await startServer();
  const seen = new Set<string>();
  for (const [status, target, body, type] of REQUESTS) {
    const headers = type === undefined ? {} : { "content-type": type };
    const made = await server.call(target, body, headers);
    const id = made.headers.get("x-request-id") ?? "";
    expect([target, made.status]).toEqual([target, status]);
    expect(id).toMatch(UUID_V4);
    expect(seen.has(id)).toBe(false);
    seen.add(id);
    if (target.startsWith("POST /api/v1/collections") && status < 400) continue;
    if (target.startsWith("DELETE")) continue;
    const echoed = await server.call(target, body, { ...headers, "x-request-id": "test-123" });
    expect([target, echoed.status]).toEqual([target, status]);
    expect(echoed.headers.get("x-request-id")).toBe("test-123");
    if (made.headers.get("content-type") === "application/problem+json") {
      expect(made.json).toMatchObject({ instance: id, request_id: id });
      expect(echoed.json).toMatchObject({ instance: "test-123", request_id: "test-123" });
    }
  }
});

test("an id of ours takes the place of one that is too long or holds what logs must not", async () => {
  await using server = await startServer();
  const echo = async (id: string) => {
    const answer = await server.call("GET /nothing", undefined, { "x-request-id": id });
    return answer.headers.get("x-request-id") ?? "";
  };
  for (const id of ["a".repeat(128), "A.b_c-9", "0"]) expect(await echo(id)).toBe(id);
  const bad = ["a".repeat(129), "a b", "a;b", "<b>", "ü", '{"a":1}', "a/b", "a\tb", "%0a"];
  for (const id of bad) expect(await echo(id)).toMatch(UUID_V4);
});

test("requests that run together keep their own ids, answered well or not", async () => {
  await using server = await startServer();
  await server.call("POST /api/v1/collections", { name: "rules" });
  const targets = ["GET /api/v1/collections/rules", "GET /nothing", "PUT /api/v1/collections"];
  const calls = Array.from({ length: 60 }, (_, index) =>
    server.call(targets[index % 3] ?? "", undefined, { "x-request-id": `r-${index}` }),
  );
  for (const [index, answer] of (await Promise.all(calls)).entries()) {
    expect(answer.headers.get("x-request-id")).toBe(`r-${index}`);
    if (index % 3 > 0) expect(answer.json).toMatchObject({ request_id: `r-${index}` });
  }
});

test("two ids in one request are not taken for one", async () => {
  await using server = await startServer();
  using connection = await openRaw(server.url);
  connection.write(
    "GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\r\nX-Request-ID: b\r\nConnection: close\r\n\r\n",
  );
  const text = await connection.untilClosed();
  expect(text).toMatch(/^HTTP\/1\.1 200/);
  expect(text).toMatch(/x-request-id: ([0-9a-f]{8}-[0-9a-f-]{27}|a|b)\r\n/i);
});
