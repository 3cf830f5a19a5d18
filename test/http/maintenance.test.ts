import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompactReportSchema, VerifyReportSchema } from "../../src/contract/maintenance.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { createRules, expectProblem, read, readCollection, writeRules } from "./answers.ts";

const RULES = Array.from({ length: 40 }, (_, at) => ({ id: `d${at}`, text: `rule number ${at}` }));

const verify = async (server: TestServer) =>
  read(VerifyReportSchema, await server.call("POST /api/v1/admin/verify"));
const compact = async (server: TestServer) =>
  read(CompactReportSchema, await server.call("POST /api/v1/admin/compact"));
const describeRules = async (server: TestServer) =>
  readCollection(await server.call("GET /api/v1/collections/rules"));

test("verify finds nothing wrong in what was written, replaced, deleted and sealed", async () => {
  await using server = await startServer();
  expect(await verify(server)).toMatchObject({ ok: true, collections: [] });
  await createRules(server);
  await writeRules(server, RULES);
  await writeRules(
    server,
    RULES.slice(0, 10).map((one) => ({ ...one, text: "another text" })),
  );
  await server.call("DELETE /api/v1/collections/rules/documents/d20");
  const whole = {
    ok: true,
    database: { problems: [] },
    collections: [{ name: "rules", chunks: 39, vectors: 39, words: 39, problems: [] }],
    duration_ms: expect.any(Number),
  };
  expect(await verify(server)).toEqual(whole);
  await compact(server);
  expect(await verify(server)).toEqual(whole);
});

test("verify tells what was made wrong by hand", async () => {
  using dir = tempDir();
  const env = { DATA_DIR: join(dir.path, "db") };
  {
    await using server = await startServer({ env });
    await createRules(server);
    await writeRules(server, RULES);
    await compact(server);
  }
  const change = (sql: string) => {
    using db = new Database(join(env.DATA_DIR, "slipstream.db"));
    db.run(sql);
  };
  change("UPDATE collections SET documents = 7");
  {
    await using server = await startServer({ env });
    const report = await verify(server);
    expect(report).toMatchObject({
      ok: false,
      database: { problems: ["rules counts its documents wrong"] },
      collections: [{ problems: [] }],
    });
  }
  change("UPDATE collections SET documents = 40");
  // Chunks that the indexes have sealed, and a chunk that they have never heard of.
  change("DELETE FROM vectors WHERE chunk_key <= 3");
  change("UPDATE chunks SET state = 2 WHERE key <= 3");
  change("UPDATE chunks SET text = NULL WHERE key <= 2");
  change(
    `INSERT INTO chunks (document_key, collection_key, position, start, "end", text, state)
       VALUES (1, 1, 1, 0, 0, 'unheard of', 2)`,
  );
  await using server = await startServer({ env });
  expect(await verify(server)).toMatchObject({
    ok: false,
    database: { problems: ["rules counts its chunks wrong"] },
    collections: [
      {
        vectors: 40,
        words: 40,
        problems: [
          "the vector index has 40 chunks where the database has 37",
          "1 of 39 chunks are not in the keyword index",
          "the keyword index has 40 chunks where the database has 39",
        ],
      },
    ],
  });
  expect(await server.log()).toBe("");
});

test("compact seals what is in memory, takes dead rows out and gives the room back", async () => {
  await using server = await startServer();
  await createRules(server);
  await writeRules(server, RULES);
  expect(await describeRules(server)).toMatchObject({
    segments: 0,
    reclaimable_bytes: 0,
    index: { unsealed: 80, disk_bytes: 0, building: false, degraded: false },
  });
  expect(await compact(server)).toMatchObject({ collections: 1, segments: 2 });
  const sealed = await describeRules(server);
  expect(sealed).toMatchObject({ segments: 2, reclaimable_bytes: 0, index: { unsealed: 0 } });
  expect(sealed.index.disk_bytes).toBeGreaterThan(40 * 256 * 4);
  // So few that nothing is written anew because of them.
  const ids = RULES.slice(0, 8).map(({ id }) => id);
  await server.call("POST /api/v1/collections/rules/documents/delete", { ids });
  const dead = await describeRules(server);
  expect(dead.reclaimable_bytes / dead.index.disk_bytes).toBeCloseTo(8 / 40, 3);
  const report = await compact(server);
  expect(report.bytes_after).toBeLessThan(report.bytes_before);
  const after = await describeRules(server);
  expect(after).toMatchObject({ segments: 2, reclaimable_bytes: 0, documents: 32 });
  expect(after.index.disk_bytes).toBeLessThan(dead.index.disk_bytes * 0.9);
  expect(await verify(server)).toMatchObject({ ok: true });
});

test("what an operator orders waits for nobody else's request, nor they for it", async () => {
  await using server = await startServer();
  await createRules(server);
  await writeRules(server, RULES);
  const answers = await Promise.all([
    server.call("POST /api/v1/admin/compact"),
    server.call("POST /api/v1/admin/verify"),
    server.call("POST /api/v1/admin/compact"),
    server.call("POST /api/v1/collections/rules/documents", { documents: RULES }),
    server.call("POST /api/v1/collections/rules/search", { query: "rule", k: 3 }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(await server.log()).toBe("");
});

test("a collection says how its words and vectors are kept", async () => {
  await using server = await startServer();
  await createRules(server);
  expect(await describeRules(server)).toMatchObject({
    keyword: { language: "english", stop_words: true, title_weight: 1, text_weight: 1 },
    quantization: "i8",
    segments: 0,
    reclaimable_bytes: 0,
    index: { unsealed: 0, disk_bytes: 0, building: false, degraded: false },
  });
  const own = {
    name: "own",
    keyword: { language: "german", stop_words: false, title_weight: 2.5, text_weight: 0.5 },
    quantization: "f16",
  };
  const made = readCollection(await server.call("POST /api/v1/collections", own));
  expect(made).toMatchObject(own);
  const kept = readCollection(await server.call("GET /api/v1/collections/own"));
  expect(kept).toEqual(made);
});

test.each([
  ["an unknown language", { keyword: { language: "klingon" } }],
  ["a weight below nothing", { keyword: { title_weight: -1 } }],
  ["a field that has no weight", { keyword: { metadata_weight: 1 } }],
  ["numbers of an unknown size", { quantization: "i4" }],
])("a collection with %s is refused", async (_, more) => {
  await using server = await startServer();
  const answer = await server.call("POST /api/v1/collections", { name: "rules", ...more });
  expectProblem(answer, 400, "invalid_request");
});

const vectorOf = (number: number): number[] =>
  Array.from({ length: 8 }, (_, at) => Math.sin(number * (at + 1)));

test("memory_full: past a collection's budget writes are refused, and all else goes on", async () => {
  await using server = await startServer({ env: { COLLECTION_MEMORY_MB: "1" } });
  await createRules(server, { model: "none", dimensions: 8, quantization: "f16" });
  const upsert = (from: number) => {
    const numbers = Array.from({ length: 1000 }, (_, at) => from + at);
    const documents = numbers.map((number) => ({ id: `d${number}`, vector: vectorOf(number) }));
    return server.call("POST /api/v1/collections/rules/documents", { documents });
  };
  // What a graph keeps in memory, some 180 bytes a vector, no seal makes less.
  for (let from = 0; from < 7000; from += 1000) expect((await upsert(from)).status).toBe(200);
  await compact(server);
  const refused = await upsert(7000);
  expectProblem(refused, 507, "memory_full");
  expect(refused.headers.get("retry-after")).toBe("5");
  const search = { vector: vectorOf(1), k: 1 };
  const found = await server.call("POST /api/v1/collections/rules/search", search);
  expect(found.status).toBe(200);
  const gone = await server.call("DELETE /api/v1/collections/rules/documents/d1");
  expect(gone.status).toBe(204);
});

const { bavail, bsize } = statfsSync(tmpdir());
const hugeMegabytes = 1_048_576;

// The setting's greatest value is a terabyte.
test.skipIf((bavail * bsize) / 2 ** 20 > hugeMegabytes)(
  "storage_full: a disk with less room than is kept free takes no writes",
  async () => {
    await using server = await startServer({ env: { DISK_FREE_MIN_MB: String(hugeMegabytes) } });
    await createRules(server);
    const documents = "POST /api/v1/collections/rules/documents";
    const refused = await server.call(documents, { documents: [{ id: "a", text: "x" }] });
    expectProblem(refused, 507, "storage_full");
    expect(refused.headers.get("retry-after")).toBe("5");
    expect((await server.call("GET /api/v1/collections/rules")).status).toBe(200);
  },
);
