import type { Statement } from "bun:sqlite";
import type { Filter } from "../filter.ts";
import type { KeywordMatch, KeywordSearch, KeywordWords } from "../store.ts";
import { filterSql } from "./filter-sql.ts";
import {
  createTables,
  dropTables,
  fillTables,
  table,
  tablesByCollection,
} from "./keyword-tables.ts";
import type { Connection } from "./open-database.ts";

interface Statements {
  add: Statement<unknown, [number, string | null, string | null]>;
  remove: Statement<unknown, [number]>;
  frequency: Statement<{ chunks: number }, [string]>;
}

/** The query as an FTS5 expression: every word and phrase is a quoted string, so that nothing in it is an operator. */
function matchExpression({ terms, phrases = [], prefix = false }: KeywordWords): string {
  const last = terms.length - 1;
  const words = terms.map((term, at) => quoted(term) + (prefix && at === last ? " *" : ""));
  const any = words.length === 0 ? [] : [`(${words.join(" OR ")})`];
  return [...any, ...phrases.map(quoted)].join(" AND ");
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""').replaceAll("\0", "")}"`;
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
  const drop = (collectionKey: number): void => {
    const known = prepared.get(collectionKey);
    if (known !== undefined) {
      for (const statement of Object.values(known)) statement.finalize();
      prepared.delete(collectionKey);
    }
    dropTables(db, collectionKey);
  };
  return {
    create: (collectionKey: number): void => createTables(db, collectionKey),
    /**
     * Makes and fills the tables that are missing where they are wanted, and drops those that are there where they are
     * not: a table that was not kept in step is worth nothing.
     */
    matchTables(wanted: boolean): void {
      for (const { key, has } of tablesByCollection(db)) {
        if (wanted && !has) db.transaction(() => fillTables(db, key)).immediate();
        else if (!wanted && has) drop(key);
      }
    },
    drop,
    add(
      collectionKey: number,
      chunk: { key: number; title: string | null; text: string | null },
    ): void {
      statements(collectionKey).add.run(chunk.key, chunk.title, chunk.text);
    },
    remove: (collectionKey: number, chunkKey: number): void => {
      statements(collectionKey).remove.run(chunkKey);
    },
    search({ collectionKey, filter, limit, ...words }: KeywordSearch): KeywordMatch[] {
      const only = matchingChunks(filter);
      // `rank` is bm25() with its defaults, k1 1.2 and b 0.75, negated by FTS5 so that the best sorts first.
      using select = db.prepare<KeywordMatch, (string | number)[]>(
        `SELECT best.chunkKey, c.document_key AS documentKey, best.score FROM (
           SELECT f.rowid AS chunkKey, -f.rank AS score FROM ${table(collectionKey)} f
           WHERE f.${table(collectionKey)} MATCH ?${only.sql} ORDER BY f.rank LIMIT ?
         ) best JOIN chunks c ON c.key = best.chunkKey ORDER BY best.score DESC, best.chunkKey`,
      );
      const scope = filter === undefined ? [] : [collectionKey, ...only.values];
      return select.all(matchExpression(words), ...scope, limit);
    },
    wordFrequencies: (collectionKey: number, forms: readonly string[]): number[] =>
      forms.map((form) => statements(collectionKey).frequency.get(form)?.chunks ?? 0),
    count({ collectionKey, filter, ...words }: Omit<KeywordSearch, "limit">): number {
      const only = matchingChunks(filter);
      using select = db.prepare<{ count: number }, (string | number)[]>(
        `SELECT count(DISTINCT c.document_key) AS count FROM ${table(collectionKey)} f
         JOIN chunks c ON c.key = f.rowid WHERE f.${table(collectionKey)} MATCH ?${only.sql}`,
      );
      const scope = filter === undefined ? [] : [collectionKey, ...only.values];
      return select.get(matchExpression(words), ...scope)?.count ?? 0;
    },
  };
}

export type KeywordSql = ReturnType<typeof keywordSql>;
