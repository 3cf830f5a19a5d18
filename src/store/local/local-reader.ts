import { join } from "node:path";
import { Problem } from "../../problems.ts";
import type { StoreRead } from "../store.ts";
import { factReadSql } from "./fact-read-sql.ts";
import { tablesByCollection } from "./keyword-tables.ts";
import { connect, openReadOnly, type Connection } from "./open-database.ts";
import { storeReads } from "./store-reads.ts";

export interface LocalReaderOptions {
  /** Full-text tables are wanted: opening fails where whoever writes keeps none. */
  fts5?: boolean;
}

/**
 * What is read of a data directory that another thread or process writes. It sees what is committed when a call begins;
 * `sequence` is read from the database each time that it is asked for.
 */
export type LocalReader = StoreRead & Disposable;

export const LocalReader = {
  /**
   * Opens a connection that can only read. Close it before the one that writes is closed, which can then leave the file
   * without a WAL beside it.
   * @throws Problem `not_ready` where there is no database, or it has another schema or no full-text tables that are
   * wanted; `schema_newer`, `data_damaged`
   */
  open(folder: string, { fts5 = false }: LocalReaderOptions = {}): LocalReader {
    const connection = connect(openReadOnly(join(folder, "slipstream.db")));
    try {
      if (fts5) requireTables(connection);
      return assemble(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
  },
};

function assemble(connection: Connection): LocalReader {
  const facts = factReadSql(connection);
  const epoch = facts.epoch();
  if (epoch === undefined)
    throw new Problem("not_ready", "The data was never opened to be written.");
  return {
    epoch,
    get sequence() {
      return facts.sequence();
    },
    ...storeReads(connection),
    [Symbol.dispose]: connection.close,
  };
}

function requireTables({ db }: Connection): void {
  if (tablesByCollection(db).every(({ has }) => has)) return;
  throw new Problem("not_ready", "The data is written without full-text tables.");
}
