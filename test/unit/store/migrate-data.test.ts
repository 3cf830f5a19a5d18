import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../../../src/limits.ts";
import { DataLock } from "../../../src/store/local/lock.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { migrateData, migrationStatus } from "../../../src/store/local/migrate-data.ts";
import { MIGRATIONS, migrateTo, SCHEMA_VERSION } from "../../../src/store/local/migrations.ts";
import { getDatabaseVersion } from "../../../src/store/local/migrator.js";
import { oldData } from "../../support/old-data.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";

const databaseIn = (dataDir: string): string => join(dataDir, "slipstream.db");
const newest = (): number => SCHEMA_VERSION;

/** Changes the database of nobody by hand. */
function change(dataDir: string, ...statements: string[]): void {
  using db = new Database(databaseIn(dataDir), { strict: true });
  for (const sql of statements) db.run(sql);
}

type Row = Record<string, unknown>;

/** The text of every table and index, and the rows of every table. */
function dump(dataDir: string): { schema: string[]; rows: Map<string, Row[]> } {
  using db = new Database(databaseIn(dataDir), { readonly: true });
  const objects = db
    .query<{ type: string; name: string; sql: string }, []>(
      "SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' ORDER BY name",
    )
    .all();
  const tables = objects.filter(({ type }) => type === "table").map(({ name }) => name);
  const rows = tables.map((name) => [name, rowsOf(db, name)] as const);
  return { schema: objects.map(({ sql }) => sql), rows: new Map(rows) };
}

/** What a database remembers of itself is not the user's: when it was migrated, and its epoch, which a way down ends. */
function rowsOf(db: Database, table: string): Row[] {
  if (table === "migrations") return [];
  const rows = db.query<Row, []>(`SELECT * FROM "${table}" ORDER BY 1, 2`).all();
  return rows.filter((row) => !(table === "facts" && row["name"] === "epoch"));
}

/** The same rows with no columns but those of other ones. */
function inColumnsOf(others: readonly Row[], rows: readonly Row[]): Row[] {
  const columns = Object.keys(others[0] ?? {});
  return rows.map((row) => Object.fromEntries(columns.map((name) => [name, row[name]])));
}

/** Data of the first version, brought to the schema of today by the store itself. */
async function dataOfToday(): Promise<{ dataDir: string } & Disposable> {
  const old = oldData("v0.1");
  await (await LocalStore.open(old.dataDir))[Symbol.asyncDispose]();
  return old;
}

describe("going down and up again", () => {
  test.each(Array.from({ length: SCHEMA_VERSION - 1 }, (_, index) => index + 1))(
    "through schema %d gives the same schema, and the same data in all that the older one holds",
    async (schema) => {
      using data = await dataOfToday();
      const { dataDir } = data;
      const before = dump(dataDir);
      expect(before.rows.get("documents")).toHaveLength(4);
      migrateData(dataDir, () => schema);
      const below = dump(dataDir);
      expect(migrationStatus(dataDir).schema).toBe(schema);
      for (const [table, rows] of below.rows) {
        expect(rows, table).toEqual(inColumnsOf(rows, before.rows.get(table) ?? []));
      }
      migrateData(dataDir, newest);
      const after = dump(dataDir);
      expect(after.schema).toEqual(before.schema);
      for (const [table, rows] of below.rows) {
        expect(inColumnsOf(rows, after.rows.get(table) ?? []), table).toEqual(rows);
      }
    },
  );

  test("ends the epoch, so that no index and no client goes on from numbers that are given out again", async () => {
    using data = await dataOfToday();
    const epochIn = async (): Promise<string> => {
      await using store = await LocalStore.open(data.dataDir);
      return store.epoch;
    };
    const first = await epochIn();
    migrateData(data.dataDir, newest);
    expect(await epochIn()).toBe(first);
    migrateData(data.dataDir, (from) => from - 1);
    expect(await epochIn()).not.toBe(first);
  });

  test("keeps a copy from before each time, and only the newest of them", async () => {
    using data = await dataOfToday();
    const backups = join(data.dataDir, "backups");
    const copies: string[] = [];
    for (let times = 0; times <= limits.migrationBackupsMax; times++) {
      copies.push(migrateData(data.dataDir, (from) => from - 1).backup ?? "");
      copies.push(migrateData(data.dataDir, newest).backup ?? "");
    }
    const kept = copies.slice(-limits.migrationBackupsMax);
    expect(
      readdirSync(backups)
        .map((name) => join(backups, name))
        .toSorted(),
    ).toEqual(kept.toSorted());
    using copy = new Database(kept.at(-1) ?? "", { readonly: true });
    expect(getDatabaseVersion(copy)).toBe(SCHEMA_VERSION - 1);
  });
});

describe("a run of several steps", () => {
  const STEPS = [
    { version: 1, up: ["CREATE TABLE a (value TEXT)"], down: "DROP TABLE a" },
    { version: 2, up: ["ALTER TABLE a ADD COLUMN more TEXT"], down: "" },
    {
      version: 3,
      up: ["UPDATE a SET value = 'changed'", "INSERT INTO nowhere VALUES (1)"],
      down: "",
    },
  ];

  test("leaves schema and rows as they were where the last one fails, and names the copy", async () => {
    using dir = tempDir();
    const path = join(dir.path, "data.db");
    using db = new Database(path, { strict: true, create: true });
    const to = (target: number, migrations = STEPS) =>
      migrateTo(db, { databasePath: path, target, migrations });
    to(1);
    db.run("INSERT INTO a VALUES ('kept')");
    const problem = await problemOf(() => to(3));
    expect(problem.code).toBe("migration_failed");
    expect(problem.detail).toStartWith(
      `The step from schema 2 up failed and was undone: the data has schema 1, as before. A copy from before is ${join(dir.path, "backups")}`,
    );
    expect(getDatabaseVersion(db)).toBe(1);
    expect(db.query("SELECT * FROM a").all()).toEqual([{ value: "kept" }]);
    // With the step mended, the same data goes through.
    const mended = STEPS.with(2, { version: 3, up: ["UPDATE a SET value = 'changed'"], down: "" });
    to(3, mended);
    expect(db.query("SELECT * FROM a").all()).toEqual([{ value: "changed", more: null }]);
  });
});

test("a way down to nothing leaves nothing, the record of migrations included", () => {
  using dir = tempDir();
  const path = join(dir.path, "data.db");
  using db = new Database(path, { strict: true, create: true });
  db.run("PRAGMA foreign_keys = ON");
  migrateTo(db, { databasePath: path, target: SCHEMA_VERSION });
  expect(migrateTo(db, { databasePath: path, target: 0 }).from).toBe(SCHEMA_VERSION);
  const left = db.query("SELECT name FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'").all();
  expect([getDatabaseVersion(db), left]).toEqual([0, []]);
});

describe("an edited migration", () => {
  const first = { version: 1, up: ["CREATE TABLE a (value TEXT)"], down: "DROP TABLE a" };
  const edited = { ...first, up: ["CREATE TABLE a (value TEXT, more TEXT)"] };

  test("is refused by data that had it as it was, whatever else there is to do", async () => {
    using dir = tempDir();
    const path = join(dir.path, "data.db");
    using db = new Database(path, { strict: true, create: true });
    migrateTo(db, { databasePath: path, target: 1, migrations: [first] });
    for (const target of [0, 1, 2]) {
      const migrations = [edited, { version: 2, up: ["CREATE TABLE b (x)"], down: "DROP TABLE b" }];
      const problem = await problemOf(() =>
        migrateTo(db, { databasePath: path, target, migrations }),
      );
      expect(problem.code).toBe("migration_changed");
      expect(problem.detail).toStartWith("Migration 0001 is not what it was");
    }
    expect(getDatabaseVersion(db)).toBe(1);
    expect(readdirSync(dir.path)).not.toContain("backups");
  });

  test("stops a store from being opened, and is told by the status", async () => {
    using data = await dataOfToday();
    change(data.dataDir, "UPDATE migrations SET sha256 = 'other' WHERE version = 2");
    const problem = await problemOf(() => LocalStore.open(data.dataDir));
    expect(problem.code).toBe("migration_changed");
    expect(migrationStatus(data.dataDir).migrations.map(({ state }) => state)).toEqual(
      MIGRATIONS.map(({ version }) => (version === 2 ? "changed" : "applied")),
    );
  });

  test("cannot be known of data from before texts were remembered, which takes today's", async () => {
    using data = await dataOfToday();
    change(data.dataDir, "DROP TABLE migrations");
    expect(migrationStatus(data.dataDir).migrations[0]).toMatchObject({
      state: "applied",
      applied_at: null,
    });
    await (await LocalStore.open(data.dataDir))[Symbol.asyncDispose]();
    change(data.dataDir, "UPDATE migrations SET sha256 = 'other' WHERE version = 1");
    expect((await problemOf(() => LocalStore.open(data.dataDir))).code).toBe("migration_changed");
  });
});

test("data that somebody holds is not migrated, and its status can be read", async () => {
  using data = oldData("v0.1");
  using _lock = DataLock.take(data.dataDir);
  const before = readFileSync(databaseIn(data.dataDir));
  const problem = await problemOf(() => migrateData(data.dataDir, newest));
  expect([problem.code, problem.detail]).toEqual([
    "data_locked",
    expect.stringContaining(`process ${process.pid}`),
  ]);
  expect(readFileSync(databaseIn(data.dataDir)).equals(before)).toBe(true);
  expect(migrationStatus(data.dataDir)).toMatchObject({ schema: 2, known: SCHEMA_VERSION });
});

test("a folder without data stays without", () => {
  using dir = tempDir();
  const dataDir = join(dir.path, "db");
  expect(migrateData(dataDir, newest)).toEqual({ from: 0, to: 0, backup: undefined });
  expect(migrationStatus(dataDir).migrations.every(({ state }) => state === "pending")).toBe(true);
  expect(existsSync(dataDir)).toBe(false);
});

test("data of a newer version is refused, and so is what is no database", async () => {
  using data = oldData("v0.1");
  change(data.dataDir, `PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  for (const work of [migrationStatus, (folder: string) => migrateData(folder, newest)])
    expect((await problemOf(() => work(data.dataDir))).code).toBe("schema_newer");
  await Bun.write(databaseIn(data.dataDir), "no database ".repeat(1000));
  for (const work of [migrationStatus, (folder: string) => migrateData(folder, newest)])
    expect((await problemOf(() => work(data.dataDir))).code).toBe("data_damaged");
});

test("every file of migrations/ is one of the migrations, in the order of their numbers", () => {
  const files = readdirSync(join(import.meta.dir, "../../../migrations")).toSorted();
  expect(files).toEqual(
    MIGRATIONS.map(({ version, name }) => `${String(version).padStart(4, "0")}_${name}.sql`),
  );
});
