import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { closeSync, openSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import {
  HealthSchema,
  HealthWordSchema,
  LiveSchema,
  ReadySchema,
  StartupSchema,
  type HealthWord,
  type Readiness,
} from "../../src/contract/health.ts";
import { createProgram } from "../../src/boot/program.ts";
import { parseConfig } from "../../src/config.ts";
import { openLocalEngines } from "../../src/engine/engines.ts";
import { createHealth, latencyStatus, worstOf } from "../../src/http/health.ts";
import { createJobs } from "../../src/jobs/jobs.ts";
import { WriterStore } from "../../src/store/local/writer-store.ts";
import { VERSION } from "../../src/version.ts";
import { eventually } from "../support/process.ts";
import { shaped, startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { canListChildren } from "../support/child-processes.ts";
import { engineOptions } from "../support/engine.ts";
import { COLLECTION, written } from "../unit/store/fixtures.ts";
import { DEADLY_ID } from "../unit/store/mortal-writer.ts";
import { enginesInOrder, startEngines } from "./engine-server.ts";
import { createRules, read, writeRules } from "./answers.ts";

const ISO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** What must never be told to whoever asks: paths, addresses, stacks, reasons. */
const SECRET = /\/tmp\/|\/work\/|127\.0\.0\.1|::1|\.ts:\d|node_modules|SQLITE|slipstream\.db/;

async function readiness(server: TestServer, path = "/health/ready") {
  const answer = await server.call(`GET ${path}`);
  expect(answer.text).not.toMatch(SECRET);
  return { status: answer.status, body: shaped(ReadySchema, answer.json) };
}

describe("liveness", () => {
  test("is true while the process answers, and asks nothing of the database", async () => {
    await using server = await startServer();
    const { status, timestamp } = read(LiveSchema, await server.call("GET /health/live"));
    expect(status).toBe("healthy");
    expect(timestamp).toMatch(ISO_UTC);
  });
});

describe("readiness", () => {
  test("is healthy, with status, timestamp, checks and duration_ms", async () => {
    await using server = await startServer();
    const { status, body } = await readiness(server);
    expect(status).toBe(200);
    expect(Object.keys(body).toSorted()).toEqual(["checks", "duration_ms", "status", "timestamp"]);
    expect(body).toMatchObject({
      status: "healthy",
      timestamp: expect.stringMatching(ISO_UTC),
      checks: {
        database: { status: "healthy", responsive: true },
        index: { status: "healthy", vectors: 0 },
        embedder: { status: "healthy", pending_embeddings: 0 },
        engines: { status: "healthy", total: 0, ready: 0 },
        writer: { status: "healthy", waiting_documents: 0, waiting_bytes: 0 },
        workers: { status: "healthy", total: 2, busy: 0, queued: 0 },
        disk: { status: "healthy" },
      },
    });
    expect(body.duration_ms).toBeGreaterThanOrEqual(0);
    expect(body.checks?.database.latency_ms).toBeGreaterThanOrEqual(0);
    expect(body.checks?.disk.free_bytes).toBeGreaterThan(0);
  });

  test("is the same under /ready", async () => {
    await using server = await startServer();
    const [long, short] = [await readiness(server), await readiness(server, "/ready")];
    expect(short.status).toBe(long.status);
    expect(Object.keys(short.body.checks ?? {})).toEqual(Object.keys(long.body.checks ?? {}));
  });

  test("tells how much the index holds at the moment, and waits for nothing", async () => {
    await using server = await startServer();
    await createRules(server);
    await writeRules(server, [{ text: "red flag" }, { text: "green flag" }]);
    const vectors = async () => (await readiness(server)).body.checks?.index.vectors;
    await eventually("the index has both vectors", async () =>
      (await vectors()) === 2 ? true : undefined,
    );
    await server.call("DELETE /api/v1/collections/rules");
    expect(await vectors()).toBe(0);
  });

  test("is unhealthy with a database that is broken: 503, no reason shown, the log has a warning", async () => {
    using dir = tempDir();
    const env = { DATA_DIR: join(dir.path, "db"), LOG_LEVEL: "info" };
    await using server = await startServer({ env });
    await createRules(server);
    expect((await readiness(server)).status).toBe(200);
    breakDatabase(join(dir.path, "db"));
    // An answer of the file is believed for a second.
    const body = await eventually("the probe sees it", async () => {
      const { status, body: told } = await readiness(server);
      return status === 503 ? told : undefined;
    });
    expect(body.status).toBe("unhealthy");
    expect(body.checks?.database).toEqual({
      status: "unhealthy",
      latency_ms: 0,
      responsive: false,
    });
    expect((await server.call("GET /health/live")).status).toBe(200);
    await readiness(server);
    const warnings = await eventsOf(server, "health.degraded");
    expect(warnings).toEqual([
      expect.objectContaining({ level: "warning", check: "database", status: "unhealthy" }),
    ]);
  });

  test("is degraded, and still 200, while the disk has less room than it should", async () => {
    const env = { DISK_FREE_MIN_MB: "1048576", LOG_LEVEL: "info" };
    await using server = await startServer({ env });
    const { status, body } = await readiness(server);
    expect([status, body.status, body.checks?.disk.status]).toEqual([200, "degraded", "degraded"]);
    await readiness(server);
    expect(await eventsOf(server, "health.degraded")).toEqual([
      expect.objectContaining({ check: "disk", status: "degraded" }),
    ]);
  });

  test("is unhealthy once the folder of the data is gone", async () => {
    using dir = tempDir();
    const folder = join(dir.path, "db");
    await using server = await startServer({ env: { DATA_DIR: folder } });
    rmSync(folder, { recursive: true });
    const { status, body } = await readiness(server);
    expect([status, body.checks?.disk.status]).toEqual([503, "unhealthy"]);
  });

  test.skipIf(!canListChildren)(
    "is degraded while one of two engines is away, and healthy again when it is back",
    async () => {
      await using server = await startEngines({ LOG_LEVEL: "info" });
      expect((await readiness(server)).body.checks?.engines).toMatchObject({ total: 2, ready: 2 });
      process.kill(enginesInOrder()[1] ?? 0, "SIGKILL");
      const away = await eventually("an engine is away", async () => {
        const { status, body } = await readiness(server);
        return body.checks?.engines.ready === 1 ? { status, word: body.status } : undefined;
      });
      expect(away).toEqual({ status: 200, word: "degraded" });
      await eventually("it is back", async () =>
        (await readiness(server)).body.status === "healthy" ? true : undefined,
      );
      expect(await eventsOf(server, "health.recovered")).toEqual([
        expect.objectContaining({ level: "info", check: "engines" }),
      ]);
    },
  );

  test("is unhealthy once the thread that writes is lost, while the database still answers", async () => {
    using dir = tempDir();
    const workerUrl = new URL("../unit/store/mortal-writer.ts", import.meta.url).href;
    const lost = Promise.withResolvers<unknown>();
    await using store = await WriterStore.open(dir.path, { workerUrl, onLost: lost.resolve });
    await using engines = await openLocalEngines(store, engineOptions(dir.path));
    await using jobs = createJobs({ store, workers: 0 });
    const lifecycle = { state: "ready", steps: [] } as const;
    const health = createHealth({ lifecycle });
    const none = { folders: [dir.path], freeBytesMin: 0, startupMsMin: 0, isDetailShown: true };
    health.watch({ store, engines, jobs, ...none });
    expect((await health.ready()).status).toBe("healthy");
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written(DEADLY_ID, "x")]).catch(() => {});
    await lost.promise;
    const { status, checks } = await health.ready();
    expect([status, checks?.writer.status, checks?.database.status]).toEqual([
      "unhealthy",
      "unhealthy",
      "healthy",
    ]);
  });

  test("shows no checks where HEALTH_DETAIL is off", async () => {
    await using server = await startServer({ env: { HEALTH_DETAIL: "off" } });
    for (const path of ["/health/ready", "/ready", "/health"]) {
      const answer = await server.call(`GET ${path}`);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.json).toMatchObject({ status: "healthy" });
      expect(answer.json).not.toHaveProperty("checks");
    }
  });

  test("costs one question of the parts however many ask at once", async () => {
    await using server = await startServer();
    const answers = await Promise.all(Array.from({ length: 50 }, () => readiness(server)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });
});

const of = (...words: HealthWord[]) => worstOf(words.map((status) => ({ status })));

describe("HealthStatus", () => {
  test.each([
    [0, "healthy"],
    [99.9, "healthy"],
    [100, "degraded"],
    [1000, "degraded"],
    [1000.1, "unhealthy"],
  ] as const)("a database that answers in %d ms is %s", (latencyMs, word) => {
    expect(latencyStatus(latencyMs)).toBe(word);
  });

  test("is as bad as the worst part", () => {
    expect(of()).toBe("healthy");
    expect(of("healthy", "healthy")).toBe("healthy");
    expect(of("healthy", "degraded")).toBe("degraded");
    expect(of("degraded", "unhealthy", "healthy")).toBe("unhealthy");
  });

  test("is one of three words, and a report without one is none", () => {
    for (const word of ["healthy", "degraded", "unhealthy"])
      expect(Value.Check(HealthWordSchema, word)).toBe(true);
    expect(Value.Check(HealthWordSchema, "ok")).toBe(false);
    const whole: Readiness = {
      status: "healthy",
      timestamp: "2026-01-01T00:00:00Z",
      duration_ms: 1,
    };
    expect(Value.Check(ReadySchema, whole)).toBe(true);
    expect(Value.Check(ReadySchema, { ...whole, status: "ok" })).toBe(false);
    expect(Value.Check(ReadySchema, { ...whole, checks: { database: {} } })).toBe(false);
  });
});

/** A program with a clock of the test's own, and what its probes answer. */
const create = () => {
  const clock = { ms: 1_000_000 };
  const program = createProgram({ nowMs: () => clock.ms });
  const ask = async (path: string) => {
    const response = await program.front.handle(new Request(`http://localhost${path}`));
    return { status: response.status, json: await response.json() };
  };
  return { clock, program, ask };
};
const configOf = (folder: string) =>
  parseConfig({ DATA_DIR: folder, ENGINES: "0", VECTOR_INDEX: "exact" });

describe("startup", () => {
  test("is not complete while the parts are being opened, whatever the uptime", async () => {
    const { clock, ask } = create();
    clock.ms += 60_000;
    const { status, json } = await ask("/health/startup");
    expect(status).toBe(503);
    expect(shaped(StartupSchema, json)).toMatchObject({ status: "starting", uptime_seconds: 60 });
  });

  test("is not complete when the uptime is below 2 s, and is complete from 2 s on", async () => {
    using dir = tempDir();
    const { clock, program, ask } = create();
    await using _opened = await program.open(configOf(dir.path));
    clock.ms += 1999;
    const early = await ask("/health/startup");
    expect([early.status, shaped(StartupSchema, early.json).status]).toEqual([503, "starting"]);
    clock.ms += 1;
    const done = await ask("/health/startup");
    expect([done.status, shaped(StartupSchema, done.json).status]).toEqual([200, "started"]);
    expect(shaped(StartupSchema, done.json).steps.map(({ name }) => name)).toContain("store");
  });

  test("leaves readiness unhealthy, in its own shape, under both names", async () => {
    const { ask } = create();
    for (const path of ["/health/ready", "/ready"]) {
      const { status, json } = await ask(path);
      expect([status, shaped(ReadySchema, json).status]).toEqual([503, "unhealthy"]);
    }
    const report = await ask("/health");
    expect([report.status, shaped(HealthSchema, report.json).status]).toEqual([200, "unhealthy"]);
  });
});

describe("GET /health", () => {
  test("has everything in one answer, as old probes expect it", async () => {
    await using server = await startServer();
    const answer = await server.call("GET /health");
    expect(answer.text).not.toMatch(SECRET);
    const report = read(HealthSchema, answer);
    expect(report.started_at).toMatch(ISO_UTC);
    expect(report).toMatchObject({
      status: "healthy",
      version: VERSION.version,
      checks: { database: { status: "healthy" }, workers: { total: 2 } },
    });
    expect(report.uptime_seconds).toBeGreaterThan(0);
    expect(Date.parse(report.started_at)).toBeLessThanOrEqual(Date.now());
  });

  test("is 200 while the server drains too, and says what readiness says", async () => {
    await using server = await startServer();
    const gate = await openGate(server);
    const stopped = server.stop();
    const health = await server.call("GET /health");
    expect([health.status, shaped(HealthSchema, health.json).status]).toEqual([200, "unhealthy"]);
    expect((await readiness(server)).status).toBe(503);
    expect((await readiness(server, "/ready")).status).toBe(503);
    expect((await server.call("GET /health/live")).status).toBe(200);
    expect((await server.call("GET /health/startup")).status).toBe(200);
    gate.end();
    expect(await stopped).toBe(true);
  });

  test("is in the OpenAPI description with the probes, and marked as deprecated", async () => {
    await using server = await startServer();
    const { json } = await server.call("GET /api/openapi.json");
    expect(json).toMatchObject({
      paths: {
        "/health": { get: { deprecated: true } },
        "/health/live": {},
        "/health/ready": {},
        "/health/startup": {},
        "/ready": {},
        "/version": {},
      },
    });
    expect(JSON.stringify(json)).toContain('"title":"HealthStatus"');
  });
});

/** A request that runs until its end is sent. */
async function openGate(server: TestServer): Promise<{ end(): void }> {
  await createRules(server);
  const { writable, readable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const answered = fetch(`${server.url}/api/v1/collections/rules/documents`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: readable,
  });
  await writer.write(new TextEncoder().encode('{"id":"a","text":"red flag"}\n'));
  const response = await answered;
  return {
    end() {
      void writer.close();
      void response.text();
    },
  };
}

/** The log lines of an event. */
async function eventsOf(server: TestServer, event: string): Promise<unknown[]> {
  const lines = (await server.log()).split("\n").slice(0, -1);
  return lines
    .map((line): Record<string, unknown> => JSON.parse(line))
    .filter((line) => line["event"] === event);
}

/** What a bad disk or a careless hand does: the file is overwritten with noise under the server, and its WAL is gone. */
function breakDatabase(folder: string): void {
  const path = join(folder, "slipstream.db");
  const descriptor = openSync(path, "r+");
  const { size } = statSync(path);
  writeSync(descriptor, Buffer.alloc(size, 0xa5), 0, size, 0);
  closeSync(descriptor);
  truncateSync(`${path}-wal`, 0);
}
