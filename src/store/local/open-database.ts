import { Database, SQLiteError, type SQLQueryBindings } from "bun:sqlite";
import { Problem } from "../../problems.ts";
import { refuseNewer } from "./migrations.ts";

/**
 * Opens the data: WAL, every commit synced to disk before it returns, foreign keys held.
 * @throws Problem `data_damaged` where the file is no database, `schema_newer`
 */
export function openDatabase(path: string): Database {
  const db = new Database(path, { create: true, strict: true });
  try {
    // Before anything is written: data of a newer version stays as it is.
    refuseNewer(db);
    // Only a new file takes it: freed pages can then be given back in small steps.
    if (isNew(db)) db.run("PRAGMA auto_vacuum = INCREMENTAL");
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = FULL");
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
