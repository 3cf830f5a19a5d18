import { Database } from "bun:sqlite";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import { syncPath } from "../../lib/sync-path.ts";
import { Problem } from "../../problems.ts";
import { backupsIn, checkCopy, sha256Of, type BackupFacts } from "./backup.ts";
import { DataLock } from "./lock.ts";
import { connect, openDatabase, toProblem } from "./open-database.ts";

export interface Restored extends BackupFacts {
  /** The folder that has the data from before; undefined where there was none. */
  before: string | undefined;
}

/**
 * Puts a backup in the place of the data of a directory that nobody uses, under a new epoch: offsets and change numbers
 * of the data before mean nothing after it. `path` is a file, or the name of one of the directory's own backups. The data
 * from before is kept beside it, and stays in its place until the copy was checked and synced.
 * @throws Problem `backup_not_found`, `data_damaged`, `schema_newer`, `data_locked`, `storage_full`
 */
export async function restoreBackup(folder: string, path: string): Promise<Restored> {
  const source = existsSync(path) ? path : join(backupsIn(folder), basename(path));
  if (!existsSync(source)) throw new Problem("backup_not_found", `There is no file ${path}.`);
  requireWhole(source);
  mkdirSync(folder, { recursive: true });
  using _lock = DataLock.take(folder);
  const copy = join(folder, "slipstream.db.restoring");
  try {
    removeDatabase(copy);
    copyFileSync(source, copy);
    const sha256 = await sha256Of(copy);
    requireSame(source, sha256);
    const facts = checkCopy(copy);
    const epoch = startNewLife(copy);
    syncPath(copy);
    const before = putAside(folder);
    renameSync(copy, join(folder, "slipstream.db"));
    syncPath(folder);
    return { ...facts, epoch, sha256, before };
  } catch (error) {
    removeDatabase(copy);
    throw toProblem(error);
  }
}

/** A backup is one file. @throws Problem `data_damaged` where a database still has commits in the WAL beside it */
function requireWhole(source: string): void {
  const wal = statSync(`${source}-wal`, { throwIfNoEntry: false });
  if (wal === undefined || wal.size === 0) return;
  throw new Problem(
    "data_damaged",
    "The file lacks what is in the WAL beside it: start and stop a server on its folder first, or make a backup there.",
  );
}

/** @throws Problem `data_damaged` where the file is not the one that was written down when the backup was made */
function requireSame(source: string, sha256: string): void {
  if (!existsSync(`${source}.json`)) return;
  const facts: unknown = JSON.parse(readFileSync(`${source}.json`, "utf8"));
  const isSame =
    typeof facts === "object" && facts !== null && "sha256" in facts && facts.sha256 === sha256;
  if (!isSame) throw new Problem("data_damaged", "The file is not what it was when it was made.");
}

/** A new epoch, and no job goes on that the data's other life has done or left. Gives the epoch. */
function startNewLife(path: string): string {
  const db = new Database(path, { readwrite: true, create: false, strict: true });
  try {
    const epoch = crypto.randomUUID();
    db.run("INSERT OR REPLACE INTO facts (name, value) VALUES ('epoch', ?)", [epoch]);
    using tables = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'jobs'");
    if (tables.get() !== null) {
      db.run(
        `UPDATE jobs SET state = 'cancelled', finished_at_ms = ?, cancelling = 0
         WHERE state IN ('queued', 'running')`,
        [Date.now()],
      );
    }
    return epoch;
  } finally {
    db.close();
  }
}

/** Keeps the present data under another name too, its file still in its place. */
function putAside(folder: string): string | undefined {
  const path = join(folder, "slipstream.db");
  if (!existsSync(path)) return undefined;
  emptyWal(path);
  const time = new Date().toISOString().replaceAll(":", "-");
  const aside = join(folder, `before-restore-${time}`);
  mkdirSync(aside);
  // What a damaged database has in its WAL goes with it: beside the new one it would be taken for its own.
  for (const end of ["-wal", "-shm"]) {
    if (existsSync(`${path}${end}`))
      renameSync(`${path}${end}`, join(aside, `slipstream.db${end}`));
  }
  try {
    linkSync(path, join(aside, "slipstream.db"));
  } catch {
    // A disk without hard links.
    copyFileSync(path, join(aside, "slipstream.db"));
  }
  syncPath(aside);
  return aside;
}

/** Takes what is in the WAL into the file, where that can be done. */
function emptyWal(path: string): void {
  try {
    const db = openDatabase(path);
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    connect(db).close();
  } catch {
    // It is damaged, or of a newer version: it is kept as it is.
  }
}

function removeDatabase(path: string): void {
  for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(`${path}${end}`, { force: true });
}
