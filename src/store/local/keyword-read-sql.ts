import type { Filter } from "../filter.ts";
import type { KeywordMatch, KeywordSearch, KeywordWords } from "../store.ts";
import { filterSql } from "./filter-sql.ts";
import { table } from "./keyword-tables.ts";
import type { Connection } from "./open-database.ts";

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
 * The SQL that asks the full-text tables. Nothing is kept prepared: each collection has a table of its own, which the
 * connection that writes may drop.
 */
export function keywordReadSql({ db }: Connection) {
  return {
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
    wordFrequencies(collectionKey: number, forms: readonly string[]): number[] {
      using frequency = db.prepare<{ chunks: number }, [string]>(
        `SELECT doc AS chunks FROM ${table(collectionKey)}_words WHERE term = ?`,
      );
      return forms.map((form) => frequency.get(form)?.chunks ?? 0);
    },
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
