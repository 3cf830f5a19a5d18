import type { Statement } from "bun:sqlite";
import type { ChunkText } from "../store.ts";
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
}

/**
 * The SQL that keeps the full-text tables in step: one FTS5 table a collection, so that word statistics are the
 * collection's own. The tables hold no text (`content=''`); a row's id is its chunk's key.
 */
export function keywordWriteSql({ db, keep }: Connection) {
  const prepared = new Map<number, Statements>();
  const statements = (collectionKey: number): Statements => {
    const known = prepared.get(collectionKey);
    if (known !== undefined) return known;
    const name = table(collectionKey);
    const fresh: Statements = {
      add: keep(`INSERT INTO ${name} (rowid, title, text) VALUES (?, ?, ?)`),
      remove: keep(`DELETE FROM ${name} WHERE rowid = ?`),
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
    add(collectionKey: number, chunk: ChunkText): void {
      statements(collectionKey).add.run(chunk.key, chunk.title, chunk.text);
    },
    remove: (collectionKey: number, chunkKey: number): void => {
      statements(collectionKey).remove.run(chunkKey);
    },
  };
}

export type KeywordWriteSql = ReturnType<typeof keywordWriteSql>;
