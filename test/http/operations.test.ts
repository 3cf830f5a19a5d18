import { expect, test } from "bun:test";
import { LiveSchema, ReadySchema, VersionSchema } from "../../src/contract/health.ts";
import { latencyStatus } from "../../src/http/routes/operations.ts";
import packageJson from "../../package.json" with { type: "json" };
import { eventually } from "../support/process.ts";
import { startServer } from "../support/server.ts";
import { createRules, read, writeRules } from "./answers.ts";

const ISO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

test("a live server is healthy", async () => {
  await using server = await startServer();
  const { status, timestamp } = read(LiveSchema, await server.call("GET /health/live"));
  expect(status).toBe("healthy");
  expect(timestamp).toMatch(ISO_UTC);
});

test("a ready server says how database, index and embedder are", async () => {
  await using server = await startServer();
  const fresh = read(ReadySchema, await server.call("GET /health/ready"));
  expect(fresh).toMatchObject({
    status: "healthy",
    timestamp: expect.stringMatching(ISO_UTC),
    checks: {
      database: { status: "healthy", responsive: true },
      index: { status: "healthy", vectors: 0 },
      embedder: { status: "healthy", pending_embeddings: 0 },
    },
  });
  expect(fresh.duration_ms).toBeGreaterThanOrEqual(0);
  expect(fresh.checks.database.latency_ms).toBeGreaterThanOrEqual(0);
  await createRules(server);
  await writeRules(server, [{ text: "red flag" }, { text: "green flag" }]);
  // A probe tells how an index is at the moment, and waits for nothing that it has yet to follow.
  await eventually("the index has both vectors", async () => {
    const filled = read(ReadySchema, await server.call("GET /health/ready"));
    return filled.checks.index.vectors === 2 ? true : undefined;
  });
  await server.call("DELETE /api/v1/collections/rules");
  const emptied = read(ReadySchema, await server.call("GET /health/ready"));
  expect(emptied.checks.index.vectors).toBe(0);
});

test("a database is healthy below 100 ms, unhealthy above a second, degraded between", () => {
  const statuses = [0, 99.99, 100, 500, 1000, 1000.01].map(latencyStatus);
  expect(statuses).toEqual(["healthy", "healthy", "degraded", "degraded", "degraded", "unhealthy"]);
});

test("the version is the package's", async () => {
  await using server = await startServer();
  const version = read(VersionSchema, await server.call("GET /version"));
  expect(version).toMatchObject({
    name: packageJson.name,
    version: packageJson.version,
    bun: Bun.version,
  });
});

test("two servers in one process keep to their own data", async () => {
  await using first = await startServer();
  await using second = await startServer();
  await createRules(first);
  expect((await first.call("GET /api/v1/collections/rules")).status).toBe(200);
  expect((await second.call("GET /api/v1/collections/rules")).status).toBe(404);
});
