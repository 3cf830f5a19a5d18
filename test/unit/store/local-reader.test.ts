import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { LocalReader } from "../../../src/store/local/local-reader.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { MIGRATIONS, migrateUp, SCHEMA_VERSION } from "../../../src/store/local/migrations.ts";
import {
  openDatabase,
  openReadOnly,
  setDurability,
} from "../../../src/store/local/open-database.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, slicesOf, withVector, written } from "./fixtures.ts";

const synchronous = (db: Database): unknown => db.query("PRAGMA synchronous").get();

const fileIn = (folder: string): string => join(folder, "slipstream.db");

describe("a reader of a data directory", () => {
  test("sees each commit of whoever writes, and the change number with it", async () => {
    using dir = tempDir();
    await using store = await LocalStore.open(dir.path, { fts5: true });
    using reader = LocalReader.open(dir.path, { fts5: true });
    expect(reader.epoch).toBe(store.epoch);
    expect([reader.sequence, await reader.collections()]).toEqual([0, []]);
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [withVector("a", [1, 0]), written("b", "red flag")]);
    expect(reader.sequence).toBe(2);
    expect((await reader.collection("rules"))?.key).toBe(key);
    expect((await reader.document(key, "b"))?.text).toBe("red flag");
    expect(await reader.chunkVectors([1])).toEqual([{ key: 1, vector: new Float32Array([1, 0]) }]);
    expect(await reader.wordFrequencies(key, ["flag"])).toEqual({ chunks: 2, counts: [1] });
    expect(await reader.check()).toEqual([]);
    await store.dropCollection(key);
    const search = () => reader.keyword({ collectionKey: key, terms: ["flag"], limit: 1 });
    expect((await problemOf(search)).code).toBe("collection_not_found");
    expect(await reader.collections()).toEqual([]);
  });

  test("keeps no WAL from being cut off, and leaves none behind that closes first", async () => {
    using dir = tempDir();
    const store = await LocalStore.open(dir.path);
    const reader = LocalReader.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    const documents = Array.from({ length: 300 }, (_, at) => written(`d${at}`, "x".repeat(4000)));
    for (const slice of slicesOf(documents)) await store.writeDocuments(key, slice);
    await reader.collection("rules");
    await reader.document(key, "d7");
    await reader.ping();
    await store.giveBack();
    expect(Bun.file(`${fileIn(dir.path)}-wal`).size).toBe(0);
    expect(await reader.countDocuments(key)).toBe(300);
    reader[Symbol.dispose]();
    await store[Symbol.asyncDispose]();
    expect(await Bun.file(`${fileIn(dir.path)}-wal`).exists()).toBe(false);
  });

  test("cannot write", async () => {
    using dir = tempDir();
    await using _store = await LocalStore.open(dir.path);
    using db = openReadOnly(fileIn(dir.path));
    expect(() => db.run("INSERT INTO facts VALUES ('epoch', 'mine')")).toThrow("readonly");
  });
});

describe("a reader is refused", () => {
  test("where there is no database", async () => {
    using dir = tempDir();
    expect((await problemOf(() => LocalReader.open(dir.path))).code).toBe("not_ready");
    expect(await Bun.file(fileIn(dir.path)).exists()).toBe(false);
  });

  test("where whoever writes has not migrated it yet, or never opened it", async () => {
    using dir = tempDir();
    using db = openDatabase(fileIn(dir.path));
    migrateUp(db, fileIn(dir.path), MIGRATIONS.slice(0, 1));
    const problem = await problemOf(() => LocalReader.open(dir.path));
    expect(problem).toMatchObject({ code: "not_ready" });
    expect(problem.detail).toContain("schema 1");
    migrateUp(db, fileIn(dir.path));
    expect((await problemOf(() => LocalReader.open(dir.path))).code).toBe("not_ready");
  });

  test("where the schema is of a newer version, or the file no database", async () => {
    using dir = tempDir();
    await (await LocalStore.open(dir.path))[Symbol.asyncDispose]();
    {
      using db = new Database(fileIn(dir.path));
      db.run(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    }
    expect((await problemOf(() => LocalReader.open(dir.path))).code).toBe("schema_newer");
    writeFileSync(fileIn(dir.path), "not a database\n".repeat(1000));
    expect((await problemOf(() => LocalReader.open(dir.path))).code).toBe("data_damaged");
  });

  test("where it wants full-text tables and there are none", async () => {
    using dir = tempDir();
    await using store = await LocalStore.open(dir.path);
    await store.createCollection(COLLECTION);
    const problem = await problemOf(() => LocalReader.open(dir.path, { fts5: true }));
    expect(problem.code).toBe("not_ready");
    LocalReader.open(dir.path)[Symbol.dispose]();
  });
});

test("what a commit outlives is what SQLite is told", () => {
  using dir = tempDir();
  using full = openDatabase(fileIn(dir.path));
  expect(synchronous(full)).toEqual({ synchronous: 2 });
  using relaxed = openDatabase(fileIn(dir.path), "relaxed");
  expect(synchronous(relaxed)).toEqual({ synchronous: 1 });
  setDurability(relaxed, "full");
  expect(synchronous(relaxed)).toEqual({ synchronous: 2 });
});
