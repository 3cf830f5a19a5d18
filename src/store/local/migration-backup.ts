import type { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { syncPath } from "../../lib/sync-path.ts";
import { limits } from "../../limits.ts";
import { Problem } from "../../problems.ts";

/** Only what has this form is ever removed; the time's sort order is its order. */
const NAME = /^before-migration-from-\d+-(\d{4}-\d\d-\d\dT[\d.-]+Z)\.db$/;

/**
 * Copies a database of schema `version` into `backups/` beside it, under its final name or not at all, and removes
 * copies of earlier migrations but for the newest. Takes as long as the database is large, and as much room.
 * @throws Problem `migration_failed` where the copy could not be written
 */
export function backUp(db: Database, databasePath: string, version: number): string {
  const folder = join(dirname(databasePath), "backups");
  const time = new Date().toISOString().replaceAll(":", "-");
  const path = join(folder, `before-migration-from-${version}-${time}.db`);
  const temporary = `${path}.tmp`;
  try {
    mkdirSync(folder, { recursive: true });
    removeBroken(folder);
    db.run("VACUUM INTO ?", [temporary]);
    // SQLite does not sync what VACUUM INTO writes (its documentation of VACUUM, section 3).
    syncPath(temporary);
    renameSync(temporary, path);
    syncPath(folder);
  } catch (error) {
    // Where the folder itself is a file, Bun's forced removal fails with an error of its own.
    if (existsSync(temporary)) rmSync(temporary);
    throw new Problem("migration_failed", "The backup before the migration could not be written.", {
      cause: error,
    });
  }
  removeOld(folder);
  return path;
}

/** Starts that were cut off would fill the disk with copies of which none is whole. */
function removeBroken(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (/^before-migration-.*\.tmp$/.test(name)) rmSync(join(folder, name));
  }
}

function removeOld(folder: string): void {
  const copies = readdirSync(folder).flatMap((name) => {
    const time = NAME.exec(name)?.[1];
    return time === undefined ? [] : [{ name, time }];
  });
  const newestFirst = copies.toSorted((one, other) => (one.time < other.time ? 1 : -1));
  for (const { name } of newestFirst.slice(limits.migrationBackupsMax)) rmSync(join(folder, name));
}
