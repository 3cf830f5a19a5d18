import { Database, SQLiteError, type SQLQueryBindings } from "bun:sqlite";
import { existsSync } from "node:fs";
import { Problem } from "../../problems.ts";
import { refuseNewer, SCHEMA_VERSION } from "./migrations.ts";

/**
 * What a COMMIT outlives. `full`: it is synced to disk before it returns, and outlives a power cut. `relaxed`: a power
 * cut or a crash of the machine may lose the last commits, though never a part of one; a crash of this process loses
 * none.
 */
export type Durability = "full" | "relaxed";

/** Sets what the next commits outlive. */
export function setDurability(db: Database, durability: Durability): void {
  db.run(`PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
}

/**
 * Opens the data to be written: WAL, foreign keys held.
 * @throws Problem `data_damaged` where the file is no database, `schema_newer`
 */
export function openDatabase(path: string, durability: Durability = "full"): Database {
  const db = new Database(path, { create: true, strict: true });
  try {
    // Before anything is written: data of a newer version stays as it is.
    refuseNewer(db);
    // Only a new file takes it: freed pages can then be given back in small steps.
    if (isNew(db)) db.run("PRAGMA auto_vacuum = INCREMENTAL");
    db.run("PRAGMA journal_mode = WAL");
    setDurability(db, durability);
    db.run("PRAGMA foreign_keys = ON");
    db.run("PRAGMA busy_timeout = 5000");
    db.run("PRAGMA temp_store = MEMORY");
    db.run("PRAGMA cache_size = -65536");
    db.run("PRAGMA journal_size_limit = 16777216");
  } catch (error) {
    db.close();
    throw toProblem(error);
  }
  return db;
}

/**
 * Opens data that another connection writes, for reading only.
 * @throws Problem `not_ready` where there is no database or its schema is an older one, `schema_newer`, `data_damaged`
 */
export function openReadOnly(path: string): Database {
  if (!existsSync(path)) throw new Problem("not_ready", "The data directory has no database yet.");
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true, strict: true });
    const version = refuseNewer(db);
    if (version < SCHEMA_VERSION) {
      throw new Problem(
        "not_ready",
        `The data has schema ${version} and is read with schema ${SCHEMA_VERSION}: whoever writes it has to migrate it first.`,
      );
    }
    db.run("PRAGMA busy_timeout = 5000");
    db.run("PRAGMA temp_store = MEMORY");
    // A process may have several such connections, and the pages are in the system's cache too.
    db.run("PRAGMA cache_size = -16384");
    return db;
  } catch (error) {
    db?.close();
    throw toProblem(error);
  }
}

function isNew(db: Database): boolean {
  using statement = db.query<{ page_count: number }, []>("PRAGMA page_count");
  return statement.get()?.page_count === 0;
}

/** SQLite's own errors as problems; anything else as it is. */
export function toProblem(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? "";
  if (code === "SQLITE_FULL" || code.startsWith("SQLITE_IOERR_WRITE")) {
    return new Problem(
      "storage_full",
      "The disk of the data directory has no room for this write; nothing was changed.",
      {
        cause: error,
        retryAfterMs: 5000,
      },
    );
  }
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") {
    return new Problem("data_damaged", "The database file is damaged: restore a backup.", {
      cause: error,
    });
  }
  return error;
}

/** A database and the statements that live as long as it does. */
export type Connection = ReturnType<typeof connect>;

/** Wraps a database that nobody else closes. */
export function connect(db: Database) {
  const kept: { finalize(): void }[] = [];
  return {
    db,
    /** Prepares a statement for good; the connection finalizes it. */
    keep: <Row, Values extends SQLQueryBindings | SQLQueryBindings[]>(sql: string) => {
      const statement = db.prepare<Row, Values>(sql);
      kept.push(statement);
      return statement;
    },
    /**
     * Finalizes every statement and closes. The plain `close()` leaves the file open, its WAL beside it, until the last
     * statement is collected as garbage; the strict one closes now, or throws if a statement still lives.
     */
    close: (): void => {
      for (const statement of kept) statement.finalize();
      db.close(true);
    },
  };
}
