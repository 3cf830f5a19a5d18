import type { Statement } from "bun:sqlite";
import type { Filter } from "../filter.ts";
import type { KeywordMatch, KeywordSearch } from "../store.ts";
import { filterSql } from "./filter-sql.ts";
import type { Connection } from "./open-database.ts";

interface Statements {
  add: Statement<unknown, [number, string | null, string | null]>;
  remove: Statement<unknown, [number]>;
  frequency: Statement<{ chunks: number }, [string]>;
}

/** Words as an FTS5 expression: each is a quoted string, so that nothing in it is an operator. */
function matchExpression(terms: readonly string[]): string {
  return terms.map((term) => `"${term.replaceAll('"', '""').replaceAll("\0", "")}"`).join(" OR ");
}

function matchingChunks(filter: Filter | undefined): { sql: string; values: (string | number)[] } {
  if (filter === undefined) return { sql: "", values: [] };
  const condition = filterSql(filter);
  return {
    sql: ` AND f.rowid IN (SELECT c.key FROM documents d JOIN chunks c ON c.document_key = d.key
      WHERE d.collection_key = ? AND ${condition.sql})`,
    values: condition.values,
  };
}

function table(collectionKey: number): string {
  return `keyword_${Math.trunc(collectionKey)}`;
}

/**
 * The SQL of the keyword index: one FTS5 table a collection, so that word statistics are the collection's own. The
 * tables hold no text (`content=''`); a row's id is its chunk's key.
 */
export function keywordSql({ db, keep }: Connection) {
  const prepared = new Map<number, Statements>();
  const statements = (collectionKey: number): Statements => {
    const known = prepared.get(collectionKey);
    if (known !== undefined) return known;
    const name = table(collectionKey);
    const fresh: Statements = {
      add: keep(`INSERT INTO ${name} (rowid, title, text) VALUES (?, ?, ?)`),
      remove: keep(`DELETE FROM ${name} WHERE rowid = ?`),
      frequency: keep(`SELECT doc AS chunks FROM ${name}_words WHERE term = ?`),
    };
    prepared.set(collectionKey, fresh);
    return fresh;
  };
  return {
    create(collectionKey: number): void {
      db.run(`CREATE VIRTUAL TABLE ${table(collectionKey)} USING fts5(title, text,
        content = '', contentless_delete = 1, tokenize = "porter unicode61 remove_diacritics 2")`);
      db.run(
        `CREATE VIRTUAL TABLE ${table(collectionKey)}_words USING fts5vocab(${table(collectionKey)}, row)`,
      );
    },
    drop(collectionKey: number): void {
      const known = prepared.get(collectionKey);
      if (known !== undefined) {
        for (const statement of Object.values(known)) statement.finalize();
        prepared.delete(collectionKey);
      }
      db.run(`DROP TABLE IF EXISTS ${table(collectionKey)}_words`);
      db.run(`DROP TABLE IF EXISTS ${table(collectionKey)}`);
    },
    add(
      collectionKey: number,
      chunk: { key: number; title: string | null; text: string | null },
    ): void {
      statements(collectionKey).add.run(chunk.key, chunk.title, chunk.text);
    },
    remove: (collectionKey: number, chunkKey: number): void => {
      statements(collectionKey).remove.run(chunkKey);
    },
    search({ collectionKey, terms, filter, limit }: KeywordSearch): KeywordMatch[] {
      const only = matchingChunks(filter);
      // `rank` is bm25() with its defaults, k1 1.2 and b 0.75, negated by FTS5 so that the best sorts first.
      using select = db.prepare<KeywordMatch, (string | number)[]>(
        `SELECT best.chunkKey, c.document_key AS documentKey, best.score FROM (
           SELECT f.rowid AS chunkKey, -f.rank AS score FROM ${table(collectionKey)} f
           WHERE f.${table(collectionKey)} MATCH ?${only.sql} ORDER BY f.rank LIMIT ?
         ) best JOIN chunks c ON c.key = best.chunkKey ORDER BY best.score DESC, best.chunkKey`,
      );
      const scope = filter === undefined ? [] : [collectionKey, ...only.values];
      return select.all(matchExpression(terms), ...scope, limit);
    },
    wordFrequencies: (collectionKey: number, forms: readonly string[]): number[] =>
      forms.map((form) => statements(collectionKey).frequency.get(form)?.chunks ?? 0),
    count({ collectionKey, terms, filter }: Omit<KeywordSearch, "limit">): number {
      const only = matchingChunks(filter);
      using select = db.prepare<{ count: number }, (string | number)[]>(
        `SELECT count(DISTINCT c.document_key) AS count FROM ${table(collectionKey)} f
         JOIN chunks c ON c.key = f.rowid WHERE f.${table(collectionKey)} MATCH ?${only.sql}`,
      );
      const scope = filter === undefined ? [] : [collectionKey, ...only.values];
      return select.get(matchExpression(terms), ...scope)?.count ?? 0;
    },
  };
}

export type KeywordSql = ReturnType<typeof keywordSql>;
