import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { migrateUp } from "../../../src/store/local/migrations.ts";
import { getDatabaseVersion } from "../../../src/store/local/migrator.js";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";

const FIRST = { version: 1, up: ["CREATE TABLE a (value TEXT)"], down: "DROP TABLE a" };
const SECOND = { version: 2, up: ["ALTER TABLE a ADD COLUMN more TEXT"], down: "" };
const BROKEN = {
  version: 2,
  up: ["ALTER TABLE a ADD COLUMN half TEXT", "INSERT INTO nowhere VALUES (1)"],
  down: "",
};

const columnsOf = (db: Database): unknown[] =>
  db
    .query<{ name: string }, []>("SELECT name FROM pragma_table_info('a')")
    .all()
    .map(({ name }) => name);

/** A database of the first schema with one row. */
function older(folder: string): { db: Database; path: string } {
  const path = join(folder, "data.db");
  const db = new Database(path, { create: true, strict: true });
  migrateUp(db, path, [FIRST]);
  db.run("INSERT INTO a VALUES ('kept')");
  return { db, path };
}

describe("migrating data that is there", () => {
  test("first writes a backup that holds it as it was", () => {
    using dir = tempDir();
    const { db, path } = older(dir.path);
    const { from, backup = "" } = migrateUp(db, path, [FIRST, SECOND]);
    expect(from).toBe(1);
    expect(columnsOf(db)).toEqual(["value", "more"]);
    db.close();
    using copy = new Database(backup, { readonly: true });
    expect(getDatabaseVersion(copy)).toBe(1);
    expect(copy.query("SELECT * FROM a").all()).toEqual([{ value: "kept" }]);
    expect(readdirSync(join(dir.path, "backups"))).toHaveLength(1);
  });

  test("undoes a step that fails halfway, and says which", async () => {
    using dir = tempDir();
    const { db, path } = older(dir.path);
    const problem = await problemOf(() => migrateUp(db, path, [FIRST, BROKEN]));
    expect(problem.code).toBe("migration_failed");
    expect(problem.detail).toContain("schema 1");
    expect(columnsOf(db)).toEqual(["value"]);
    expect(getDatabaseVersion(db)).toBe(1);
    db.close();
  });

  test("does not begin where the backup cannot be written", async () => {
    using dir = tempDir();
    const { db, path } = older(dir.path);
    writeFileSync(join(dir.path, "backups"), "a file stands where the folder should be");
    const problem = await problemOf(() => migrateUp(db, path, [FIRST, SECOND]));
    expect(problem.code).toBe("migration_failed");
    expect(problem.detail).toContain("backup");
    expect(columnsOf(db)).toEqual(["value"]);
    db.close();
  });
});
