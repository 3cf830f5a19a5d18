import type { Database } from "bun:sqlite";

/** Name of a collection's full-text table. */
export function table(collectionKey: number): string {
  return `keyword_${Math.trunc(collectionKey)}`;
}

/** Makes a collection's full-text table and the view of its words. */
export function createTables(db: Database, collectionKey: number): void {
  const name = table(collectionKey);
  db.run(`CREATE VIRTUAL TABLE ${name} USING fts5(title, text,
    content = '', contentless_delete = 1, tokenize = "porter unicode61 remove_diacritics 2")`);
  db.run(`CREATE VIRTUAL TABLE ${name}_words USING fts5vocab(${name}, row)`);
}

/** Makes the tables of a collection that has documents already. One statement; it takes as long as they were written in. */
export function fillTables(db: Database, collectionKey: number): void {
  createTables(db, collectionKey);
  db.run(
    `INSERT INTO ${table(collectionKey)} (rowid, title, text)
     SELECT c.key, d.title, c.text FROM chunks c JOIN documents d ON d.key = c.document_key
     WHERE c.collection_key = ? AND (c.text IS NOT NULL OR d.title IS NOT NULL)`,
    [collectionKey],
  );
}

export function dropTables(db: Database, collectionKey: number): void {
  db.run(`DROP TABLE IF EXISTS ${table(collectionKey)}_words`);
  db.run(`DROP TABLE IF EXISTS ${table(collectionKey)}`);
}

/** The collections that are not dropped, with whether they have a full-text table. */
export function tablesByCollection(db: Database): { key: number; has: boolean }[] {
  using names = db.prepare<{ name: string }, []>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'keyword_[0-9]*'",
  );
  const there = new Set(names.all().map((row) => row.name));
  using live = db.prepare<{ key: number }, []>(
    "SELECT key FROM collections WHERE name IS NOT NULL",
  );
  return live.all().map(({ key }) => ({ key, has: there.has(table(key)) }));
}
