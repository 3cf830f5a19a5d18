import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { readHolder } from "../../../src/store/local/lock.ts";
import { MIGRATIONS, SCHEMA_VERSION, migrateUp } from "../../../src/store/local/migrations.ts";
import { getDatabaseVersion, migrate } from "../../../src/store/local/migrator.js";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, slicesOf, written } from "./fixtures.ts";

const databaseIn = (folder: string): string => join(folder, "slipstream.db");

/** Every table, index and trigger with its SQL. */
function schemaOf(db: Database): unknown[] {
  return db
    .query("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
    .all();
}

/** Changes the database of a closed store by hand. */
function change(folder: string, ...statements: string[]): void {
  using db = new Database(databaseIn(folder));
  for (const sql of statements) db.run(sql);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
}

describe("the schema", () => {
  test("of a fresh directory is the current one, without a backup of nothing", async () => {
    using dir = tempDir();
    await (await LocalStore.open(dir.path))[Symbol.asyncDispose]();
    using db = new Database(databaseIn(dir.path), { readonly: true });
    expect(getDatabaseVersion(db)).toBe(SCHEMA_VERSION);
    expect(existsSync(join(dir.path, "backups"))).toBe(false);
  });

  test("is left alone once it is current", () => {
    using db = new Database(":memory:");
    expect(migrateUp(db, ":memory:")).toEqual({ from: 0, backup: undefined });
    const before = schemaOf(db);
    expect(migrateUp(db, ":memory:")).toEqual({ from: SCHEMA_VERSION, backup: undefined });
    expect(schemaOf(db)).toEqual(before);
  });

  test("goes down to nothing, and up again to the same", () => {
    using db = new Database(":memory:");
    db.run("PRAGMA foreign_keys = ON");
    migrate(db, [...MIGRATIONS], SCHEMA_VERSION);
    const before = schemaOf(db);
    expect(before.length).toBeGreaterThan(8);
    migrate(db, [...MIGRATIONS], 0);
    expect(schemaOf(db)).toEqual([]);
    expect(getDatabaseVersion(db)).toBe(0);
    migrate(db, [...MIGRATIONS], SCHEMA_VERSION);
    expect(schemaOf(db)).toEqual(before);
  });

  test("of a newer version is refused, and nothing is written to it", async () => {
    using dir = tempDir();
    await (await LocalStore.open(dir.path))[Symbol.asyncDispose]();
    change(dir.path, `PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    const before = readFileSync(databaseIn(dir.path));
    const problem = await problemOf(() => LocalStore.open(dir.path));
    expect(problem.code).toBe("schema_newer");
    expect(problem.detail).toContain(`schema ${SCHEMA_VERSION + 1}`);
    expect(readFileSync(databaseIn(dir.path)).equals(before)).toBe(true);
    const wal = statSync(`${databaseIn(dir.path)}-wal`, { throwIfNoEntry: false });
    expect(wal?.size ?? 0).toBe(0);
  });

  test("is not mixed with the tables of another program", async () => {
    using dir = tempDir();
    change(dir.path, "CREATE TABLE facts (mine TEXT)", "INSERT INTO facts VALUES ('kept')");
    const problem = await problemOf(() => LocalStore.open(dir.path));
    expect(problem.code).toBe("migration_failed");
    using db = new Database(databaseIn(dir.path));
    expect(schemaOf(db)).toHaveLength(1);
    expect(db.query("SELECT * FROM facts").all()).toEqual([{ mine: "kept" }]);
    expect(getDatabaseVersion(db)).toBe(0);
  });
});

describe("a damaged data directory", () => {
  test("whose database is no database is told as such, and the lock is free again", async () => {
    using dir = tempDir();
    for (const content of ["hello", "not a database\n".repeat(1000)]) {
      writeFileSync(databaseIn(dir.path), content);
      expect((await problemOf(() => LocalStore.open(dir.path))).code).toBe("data_damaged");
      expect(readFileSync(databaseIn(dir.path), "utf8")).toBe(content);
    }
    writeFileSync(databaseIn(dir.path), "");
    await (await LocalStore.open(dir.path))[Symbol.asyncDispose]();
  });

  test("whose database was cut short is told as such", async () => {
    using dir = tempDir();
    {
      await using store = await LocalStore.open(dir.path);
      const { key } = await store.createCollection(COLLECTION);
      const documents = Array.from({ length: 200 }, (_, index) =>
        written(`d${index}`, "some words of text ".repeat(40)),
      );
      for (const slice of slicesOf(documents)) await store.writeDocuments(key, slice);
    }
    truncateSync(databaseIn(dir.path), 20_000);
    const problem = await problemOf(async () => {
      await using store = await LocalStore.open(dir.path);
      for (const { key } of await store.collections())
        await store.documents({ collectionKey: key, limit: 1000 });
    });
    expect(problem.code).toBe("data_damaged");
  });
});

/** A process of its own that holds a data directory until it is killed. */
async function holder(folder: string) {
  const store = new URL("../../../src/store/local/local-store.ts", import.meta.url).pathname;
  const script = `
    const { LocalStore } = await import(${JSON.stringify(store)});
    const held = await LocalStore.open(${JSON.stringify(folder)});
    held.announce("http://127.0.0.1:4242");
    console.log("held");
    await new Promise(() => setInterval(() => held.ping(), 60_000));`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  for await (const part of child.stdout) {
    expect(Buffer.from(part).toString()).toBe("held\n");
    break;
  }
  return child;
}

describe("the lock", () => {
  test("of another process names it, and is free after kill -9", async () => {
    using dir = tempDir();
    const child = await holder(dir.path);
    const problem = await problemOf(() => LocalStore.open(dir.path));
    expect(problem.code).toBe("data_locked");
    expect(problem.detail).toContain(`process ${child.pid}`);
    expect(problem.detail).toContain("http://127.0.0.1:4242");
    child.kill("SIGKILL");
    await child.exited;
    await using store = await LocalStore.open(dir.path);
    expect(await store.collections()).toEqual([]);
    expect(readHolder(dir.path)).toMatchObject({ pid: process.pid, url: null });
  });

  test("is gone with the store, and with it the word of who held it", async () => {
    using dir = tempDir();
    await (await LocalStore.open(dir.path))[Symbol.asyncDispose]();
    expect(readHolder(dir.path)).toBeUndefined();
    await (await LocalStore.open(dir.path))[Symbol.asyncDispose]();
  });

  test("holds where the word of its holder is missing or broken", async () => {
    using dir = tempDir();
    await using _store = await LocalStore.open(dir.path);
    for (const text of ["", "{", "[]", '{"pid":"7","url":null}']) {
      writeFileSync(join(dir.path, "holder.json"), text);
      const problem = await problemOf(() => LocalStore.open(dir.path));
      expect(problem.code).toBe("data_locked");
      expect(problem.detail).toEndWith("is held by another process.");
    }
  });
});

describe("a restart", () => {
  test("finishes the removal of a collection that was cut off", async () => {
    using dir = tempDir();
    let kept = 0;
    {
      await using store = await LocalStore.open(dir.path, { fts5: true });
      const { key } = await store.createCollection(COLLECTION);
      const documents = Array.from({ length: 250 }, (_, index) => written(`d${index}`, "text"));
      for (const slice of slicesOf(documents)) await store.writeDocuments(key, slice);
      kept = (await store.createCollection({ ...COLLECTION, name: "kept" })).key;
      await store.writeDocuments(kept, [written("a", "text")]);
    }
    // What the first transaction of a removal leaves behind.
    change(dir.path, "UPDATE collections SET name = NULL WHERE name = 'rules'");
    {
      await using store = await LocalStore.open(dir.path, { fts5: true });
      expect((await store.collections()).map(({ name }) => name)).toEqual(["kept"]);
      expect(await store.pendingTotal()).toBe(1);
      expect(await store.document(kept, "a")).toBeDefined();
    }
    using db = new Database(databaseIn(dir.path), { readonly: true });
    expect(db.query("SELECT count(*) AS count FROM documents").get()).toEqual({ count: 1 });
    expect(db.query("SELECT count(*) AS count FROM changes").get()).toEqual({ count: 1 });
    expect(db.query("SELECT count(*) AS count FROM collections").get()).toEqual({ count: 1 });
    expect(
      db.query("SELECT name FROM sqlite_schema WHERE name GLOB 'keyword_[0-9]'").all(),
    ).toEqual([{ name: `keyword_${kept}` }]);
  });

  test("after kill -9 loses nothing that was answered", async () => {
    using dir = tempDir();
    using copy = tempDir();
    await using store = await LocalStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("a", "red flag")]);
    // The files as a process that ends now would leave them, the WAL not yet in the database.
    for (const name of ["slipstream.db", "slipstream.db-wal"])
      cpSync(join(dir.path, name), join(copy.path, name));
    await using again = await LocalStore.open(copy.path);
    expect((await again.document(key, "a"))?.text).toBe("red flag");
    expect(again.sequence).toBe(1);
    expect(again.epoch).toBe(store.epoch);
  });

  test("gives another database another epoch", async () => {
    using one = tempDir();
    using other = tempDir();
    await using a = await LocalStore.open(one.path);
    await using b = await LocalStore.open(other.path);
    expect(a.epoch).not.toBe(b.epoch);
  });
});

test("closing closes the database: no WAL is left beside it", async () => {
  using dir = tempDir();
  {
    await using store = await LocalStore.open(dir.path);
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("a", "x")]);
    await store.documents({ collectionKey: key, limit: 10 });
  }
  expect(readdirSync(dir.path).toSorted()).toEqual(["lock.db", "slipstream.db"]);
});

test("dropping a collection gives its room back to the disk", async () => {
  using dir = tempDir();
  await using store = await LocalStore.open(dir.path);
  const { key } = await store.createCollection(COLLECTION);
  const documents = Array.from({ length: 100 }, (_, index) =>
    written(`d${index}`, `word${index} `.repeat(1000)),
  );
  await store.writeDocuments(key, documents);
  await store.dropCollection(key);
  using db = new Database(databaseIn(dir.path), { readonly: true });
  expect(db.query("PRAGMA freelist_count").get()).toEqual({ freelist_count: 0 });
});
