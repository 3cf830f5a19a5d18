import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Engine } from "../../../src/engine/engine.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { MIGRATIONS, migrateUp } from "../../../src/store/local/migrations.ts";
import { getDatabaseVersion } from "../../../src/store/local/migrator.js";
import { engineOptions } from "../../support/engine.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { vectorsIn } from "./fixtures.ts";

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

  test("leaves nothing of backups that were cut off", () => {
    using dir = tempDir();
    const { db, path } = older(dir.path);
    const backups = join(dir.path, "backups");
    mkdirSync(backups);
    const mine = ["own.tmp", "backup-2026-01-01T00-00-00.000Z-ab.db.tmp"];
    const cut = "before-migration-from-1-2025-01-01T00-00-00.000Z.db.tmp";
    for (const name of [...mine, cut]) writeFileSync(join(backups, name), "a part");
    const { backup = "" } = migrateUp(db, path, [FIRST, SECOND]);
    db.close();
    expect(readdirSync(backups).toSorted()).toEqual([...mine, basename(backup)].toSorted());
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

describe("data of the first schema", () => {
  /** What version 0.1.0 wrote for one embedded document and one that waits. */
  const ROWS = `
    INSERT INTO facts VALUES ('epoch', 'e'), ('sequence', 2);
    INSERT INTO collections (name, model, dimensions, metric, chunking, fusion, documents, chunks, created_at, updated_at)
      VALUES ('old', 'none', 2, 'cosine', '{"strategy":"none","tokens_max":256,"tokens_overlap":0}',
        '{"method":"weighted","weight":0.5}', 2, 2, '2026-01-01', '2026-01-01');
    INSERT INTO documents (collection_key, id, title, metadata, content_sha256, sequence, created_at, updated_at)
      VALUES (1, 'a', NULL, '{"lap":1}', x'00', 1, '2026-01-01', '2026-01-01'),
        (1, 'b', NULL, '{}', x'01', 2, '2026-01-01', '2026-01-01');
    INSERT INTO changes VALUES (1, 1, 'a', 'insert'), (2, 1, 'b', 'insert');
    INSERT INTO chunks (document_key, collection_key, position, start, "end", text, state)
      VALUES (1, 1, 0, 0, 8, 'red flag', 1), (2, 1, 0, 0, 4, 'rain', 0);
    INSERT INTO vectors VALUES (1, x'0000803f00000000');
    CREATE VIRTUAL TABLE keyword_1 USING fts5(title, text,
      content = '', contentless_delete = 1, tokenize = "porter unicode61 remove_diacritics 2");
    CREATE VIRTUAL TABLE keyword_1_words USING fts5vocab(keyword_1, row);
    INSERT INTO keyword_1 (rowid, text) VALUES (1, 'red flag'), (2, 'rain');`;

  function write(folder: string): void {
    const path = join(folder, "slipstream.db");
    using db = new Database(path, { create: true, strict: true });
    db.run("PRAGMA journal_mode = WAL");
    migrateUp(db, path, MIGRATIONS.slice(0, 1));
    for (const sql of ROWS.split(/;\n/)) db.run(sql);
  }

  test.each([false, true])("is there afterwards, every part of it, with fts5 %p", async (fts5) => {
    using dir = tempDir();
    write(dir.path);
    await using store = await LocalStore.open(dir.path, { fts5 });
    const row = await store.collection("old");
    expect(row).toMatchObject({
      keyword: { language: "english", stop_words: true, title_weight: 1, text_weight: 1 },
      quantization: "f16",
      dimensions: 2,
    });
    const key = row?.key ?? 0;
    expect(await store.check()).toEqual([]);
    expect(await store.counts(key)).toEqual({ documents: 2, chunks: 2, pendingEmbeddings: 1 });
    expect(await store.document(key, "a")).toMatchObject({
      text: "red flag",
      metadata: { lap: 1 },
    });
    expect(await store.indexState(key)).toEqual({ sequence: 0, trimmed: 0 });
    expect(await store.indexLog(key, { after: 0, limit: 10 })).toEqual([]);
    expect(await store.indexedKeys(key, { what: "text", after: 0, limit: 10 })).toEqual([1, 2]);
    expect(await vectorsIn(store, key)).toEqual([{ key: 1, vector: new Float32Array([1, 0]) }]);
    expect(readdirSync(join(dir.path, "backups"))).toHaveLength(1);
    if (fts5) expect(await store.countKeyword({ collectionKey: key, terms: ["flags"] })).toBe(1);
  });

  test("is found by the indexes, which were not there before", async () => {
    using dir = tempDir();
    write(dir.path);
    await using store = await LocalStore.open(dir.path);
    await using engine = await Engine.open(store, engineOptions(dir.path));
    const [collection] = await store.collections();
    if (collection === undefined) throw new Error("the collection is there");
    expect(engine.nearest(collection, { vector: new Float32Array([1, 0]), k: 5 })).toEqual([
      { key: 1, score: 1 },
    ]);
    expect(engine.words(collection)?.index.frequencies(["flag", "rain"])).toEqual({
      chunks: 2,
      counts: [1, 1],
    });
  });
});
