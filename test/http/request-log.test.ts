import { describe, expect, test } from "bun:test";
import { eventually } from "../support/process.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { createRules, writeRules } from "./answers.ts";
import { openRaw } from "./raw-connection.ts";

type Line = Record<string, unknown>;

async function linesOf(server: TestServer, event: string): Promise<Line[]> {
  const lines = (await server.log()).split("\n").slice(0, -1);
  return lines.map((line): Line => JSON.parse(line)).filter((line) => line["event"] === event);
}

const lineOf = async (server: TestServer, event: string, id: string): Promise<Line> =>
  eventually(`${event} of ${id} is logged`, async () =>
    (await linesOf(server, event)).find((line) => line["request_id"] === id),
  );

const DETAILS = ["app_name", "environment", "event", "level", "logger", "timestamp", "version"];

describe("the log of a request", () => {
  test("has its beginning with id, method, path, client, query and agent, and nothing else", async () => {
    await using server = await startServer({ env: { LOG_LEVEL: "info" } });
    await server.call("GET /api/v1/collections?limit=50&token=hunter2", undefined, {
      "x-request-id": "test-123",
      "user-agent": "curl/8",
    });
    const line = await lineOf(server, "request_started", "test-123");
    expect(line).toMatchObject({
      method: "GET",
      path: "/api/v1/collections",
      client_ip: "127.0.0.1",
      query_params: { limit: "50", token: "***REDACTED***" },
      user_agent: "curl/8",
    });
    const own = ["client_ip", "method", "path", "query_params", "request_id", "user_agent"];
    expect(Object.keys(line).toSorted()).toEqual([...DETAILS, ...own].toSorted());
  });

  test("has its end with method, path, status and milliseconds of two decimals", async () => {
    await using server = await startServer({ env: { LOG_LEVEL: "info" } });
    for (const [path, status] of [
      ["/health", 200],
      ["/health/live", 200],
      ["/nothing", 404],
    ] as const) {
      const id = path.replaceAll("/", "-");
      await server.call(`GET ${path}`, undefined, { "x-request-id": id });
      const line = await lineOf(server, "request_completed", id);
      expect(line).toMatchObject({ method: "GET", path, status_code: status });
      expect(String(line["duration_ms"])).toMatch(/^\d+(\.\d{1,2})?$/);
    }
  });

  test("never has what was sent or stored, and what was searched for at debug only", async () => {
    const secret = "xylophone";
    for (const level of ["info", "debug"]) {
      await using server = await startServer({ env: { LOG_LEVEL: level } });
      await createRules(server);
      await writeRules(server, [{ id: "a", text: secret, metadata: { word: secret } }]);
      await server.call("POST /api/v1/collections", `{"name": "${secret}`);
      await server.call("POST /api/v1/rooms/news/messages", { data: secret });
      const socket = new WebSocket(`${server.url.replace("http", "ws")}/live`);
      const answered = Promise.withResolvers<void>();
      socket.addEventListener("message", ({ data }) => {
        if (String(data).includes('"welcome"'))
          socket.send(JSON.stringify({ type: "publish", id: "p", room: "news", data: secret }));
        else answered.resolve();
      });
      await answered.promise;
      socket.close();
      expect(await server.log()).not.toContain(secret);
      const path = "/api/v1/collections/rules/search";
      await server.call(`GET ${path}?q=${secret}`, undefined, { "x-request-id": "r-get" });
      await server.call(`POST ${path}`, { query: secret }, { "x-request-id": "r-post" });
      const started = await lineOf(server, "request_started", "r-get");
      expect(started["query_params"]).toEqual({ q: "***" });
      const queries = await linesOf(server, "index.query");
      expect(queries.map((line) => [line["request_id"], line["query"], line["level"]])).toEqual(
        level === "info"
          ? []
          : [
              ["r-get", secret, "debug"],
              ["r-post", secret, "debug"],
            ],
      );
      if (level === "info") expect(await server.log()).not.toContain(secret);
    }
  });
});

test("the answer to a WebSocket's handshake has the request's id too", async () => {
  await using server = await startServer();
  for (const [path, given, wanted] of [
    ["/live", "test-123", /x-request-id: test-123\r\n/],
    ["/live", "a b", /x-request-id: [0-9a-f]{8}-[0-9a-f-]{27}\r\n/],
  ] as const) {
    using connection = await openRaw(server.url);
    connection.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Request-ID: ${given}\r\n\r\n`,
    );
    const text = (await connection.until("\r\n\r\n")).toLowerCase();
    expect(text).toStartWith("http/1.1 101");
    expect(text).toMatch(wanted);
  }
});
