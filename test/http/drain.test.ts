import { describe, expect, test } from "bun:test";
import { ReadySchema } from "../../src/contract/health.ts";
import { shaped, startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import {
  createRules,
  expectOpenAiError,
  expectProblem,
  idsOf,
  readDocument,
  writeRules,
} from "./answers.ts";
import { openRaw, type RawConnection } from "./raw-connection.ts";

const PATH = "/api/v1/collections/rules/documents";
const HALF = '{"documents":[{"id":"last",';
const REST = '"text":"A chequered flag."}]}';

/** A request whose body is half sent: it runs until the rest comes. */
async function openHalf(server: TestServer, type = "application/json"): Promise<RawConnection> {
  const connection = await openRaw(server.url);
  connection.write(
    `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n` +
      `Content-Length: ${HALF.length + REST.length}\r\n\r\n${HALF}`,
  );
  // It was sent before these, so it runs when they are answered.
  for (let round = 0; round < 3; round++) await server.call("GET /health/live");
  return connection;
}

describe("a server that stops", () => {
  test("refuses what is new, says so to probes, and finishes what runs", async () => {
    await using server = await startServer();
    await createRules(server);
    using running = await openHalf(server);
    const stopped = server.stop();
    const refused = await server.call("GET /api/v1/collections", undefined, {
      "x-request-id": "r-1",
    });
    expect(expectProblem(refused, 503, "not_ready").request_id).toBe("r-1");
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.headers.get("connection")).toBe("close");
    expectProblem(
      await server.call(`POST ${PATH}`, { documents: [{ text: "x" }] }),
      503,
      "not_ready",
    );
    expectOpenAiError(await server.call("GET /v1/models"), 503, "not_ready");
    expect((await server.call("GET /health/live")).status).toBe(200);
    const ready = await server.call("GET /health/ready");
    expect(ready.status).toBe(503);
    expect(shaped(ReadySchema, ready.json).status).toBe("unhealthy");
    running.write(REST);
    const text = await running.until('"items"');
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toContain('{"id":"last","status":"created"}');
    expect(await stopped).toBe(true);
  });

  test("finishes a stream of documents that runs", async () => {
    await using server = await startServer();
    await createRules(server);
    using running = await openRaw(server.url);
    running.write(
      `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    running.writeChunk('{"id":"a","text":"red flag"}\n');
    await running.until('"line":1,');
    const stopped = server.stop();
    expect((await server.call("GET /api/v1/collections")).status).toBe(503);
    running.writeChunk('{"id":"b","text":"green flag"}\n');
    await running.until('"line":2,');
    running.writeChunk("");
    expect(await running.until('"done":')).toContain('"done":true');
    expect(await stopped).toBe(true);
  });

  test("leaves a request or a stream that outlasts DRAIN_TIMEOUT: says so and cuts it off", async () => {
    for (const type of ["application/json", "application/x-ndjson"]) {
      await using server = await startServer({ env: { DRAIN_TIMEOUT: "0" } });
      await createRules(server);
      using running = await openHalf(server, type);
      expect(await server.stop()).toBe(false);
      await running.untilClosed();
    }
  }, 3000);

  test("with nothing to do stops at once, and twice is once", async () => {
    await using server = await startServer();
    await createRules(server);
    expect(await Promise.all([server.stop(), server.stop()])).toEqual([true, true]);
    expect(server.call("GET /health/live")).rejects.toThrow();
  });
});

test("after a restart everything that was answered is there, and what waited is embedded", async () => {
  using dir = tempDir();
  const env = { DATA_DIR: dir.path };
  {
    await using server = await startServer({ env });
    await createRules(server);
    await server.call("PUT /api/v1/aliases/live", { collection: "rules" });
    await writeRules(server, [
      { id: "red", text: "The red flag stops the race.", metadata: { n: 1 } },
    ]);
    const documents = Array.from({ length: 200 }, (_, index) => ({
      id: `d${index}`,
      text: `The marshal at post ${index} waves a yellow flag.`,
    }));
    await server.call(`POST ${PATH}`, { documents }, { "idempotency-key": "k-1" });
  }
  await using server = await startServer({ env });
  const red = readDocument(await server.call(`GET ${PATH}/red`));
  expect(red).toMatchObject({ metadata: { n: 1 }, pending_embeddings: 0, sequence: 1 });
  await writeRules(server, [{ id: "new", text: "A crane recovers the car." }]);
  const search = { query: "marshal", mode: "semantic", k: 1000 };
  const found = idsOf(await server.call("POST /api/v1/collections/live/search", search));
  expect(new Set(found).size).toBe(202);
  const state = await server.call("GET /api/v1/collections/live");
  expect(state.json).toMatchObject({ documents: 202, pending_embeddings: 0 });
});
