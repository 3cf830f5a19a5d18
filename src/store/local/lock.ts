import { Database, SQLiteError } from "bun:sqlite";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../problems.ts";

/** Who holds a data directory. */
export interface Holder {
  pid: number;
  /** Where its HTTP server listens, once it does. */
  url: string | null;
  started_at: string;
}

/**
 * One owner per data directory: an exclusive transaction on a small database of its own, which the kernel frees even
 * after kill -9. (Locking the data itself would shut out readers such as Litestream.)
 */
export class DataLock implements Disposable {
  readonly #db: Database;
  readonly #folder: string;

  private constructor(db: Database, folder: string) {
    this.#db = db;
    this.#folder = folder;
  }

  /** @throws Problem `data_locked` that names the holder */
  static take(folder: string): DataLock {
    const db = new Database(join(folder, "lock.db"), { create: true, strict: true });
    try {
      db.run("PRAGMA busy_timeout = 0");
      db.run("BEGIN EXCLUSIVE");
    } catch (error) {
      db.close();
      if (error instanceof SQLiteError && error.code === "SQLITE_BUSY") throw lockedProblem(folder);
      throw error;
    }
    writeHolder(folder, { pid: process.pid, url: null, started_at: new Date().toISOString() });
    return new DataLock(db, folder);
  }

  [Symbol.dispose](): void {
    rmSync(holderPath(this.#folder), { force: true });
    this.#db.run("ROLLBACK");
    this.#db.close();
  }
}

/** Tells others where this process, which holds the folder, listens. */
export function announceUrl(folder: string, url: string): void {
  const startedAt = readHolder(folder)?.started_at ?? new Date().toISOString();
  writeHolder(folder, { pid: process.pid, url, started_at: startedAt });
}

/** What the last holder of a folder said of itself; it may be gone. */
export function readHolder(folder: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(holderPath(folder), "utf8"));
    return isHolder(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function holderPath(folder: string): string {
  return join(folder, "holder.json");
}

function writeHolder(folder: string, holder: Holder): void {
  const path = holderPath(folder);
  writeFileSync(`${path}.tmp`, `${JSON.stringify(holder)}\n`);
  renameSync(`${path}.tmp`, path);
}

function isHolder(value: unknown): value is Holder {
  return (
    typeof value === "object" &&
    value !== null &&
    "pid" in value &&
    typeof value.pid === "number" &&
    "url" in value
  );
}

function lockedProblem(folder: string): Problem {
  const holder = readHolder(folder);
  const who = holder === undefined ? "another process" : `process ${holder.pid}`;
  const where =
    holder?.url === null || holder === undefined ? "" : `, which listens on ${holder.url}`;
  return new Problem("data_locked", `The data directory ${folder} is held by ${who}${where}.`);
}
