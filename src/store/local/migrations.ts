import type { Database } from "bun:sqlite";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { getDatabaseVersion, migrate, type Migration } from "./migrator.js";
import initial from "../../../migrations/0001_initial.sql" with { type: "text" };
import indexLog from "../../../migrations/0002_index_log.sql" with { type: "text" };
import { Problem } from "../../problems.ts";

/** In order; the text is inside the binary. */
const TEXTS = [initial, indexLog];

/** Reads the `-- up` and `-- down` parts of one migration's text. */
function parse(text: string, index: number): Migration {
  const [, up, down] = /^-- up\n([\s\S]*)\n-- down\n([\s\S]*)$/.exec(text) ?? [];
  if (up === undefined || down === undefined)
    throw new Error(`migration ${index + 1} lacks its -- up or -- down part`);
  return { version: index + 1, up: [up], down };
}

export const MIGRATIONS: readonly Migration[] = TEXTS.map(parse);

/** The schema that this program reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings a database to the last of the migrations. An older one that holds anything is first copied to `backups/` beside it.
 * @throws Problem `migration_failed`, `schema_newer`
 */
export function migrateUp(
  db: Database,
  databasePath: string,
  migrations: readonly Migration[] = MIGRATIONS,
): { from: number; backup: string | undefined } {
  const from = refuseNewer(db, migrations.length);
  if (from === migrations.length) return { from, backup: undefined };
  const backup = from === 0 ? undefined : backUp(db, databasePath, from);
  try {
    migrate(db, [...migrations], migrations.length);
  } catch (error) {
    throw new Problem(
      "migration_failed",
      `The step from schema ${getDatabaseVersion(db)} failed and was undone.`,
      {
        cause: error,
      },
    );
  }
  return { from, backup };
}

/** The schema that a database has. @throws Problem `schema_newer` where this program does not know it */
export function refuseNewer(db: Database, known = SCHEMA_VERSION): number {
  const version = getDatabaseVersion(db);
  if (version > known) {
    throw new Problem(
      "schema_newer",
      `The data has schema ${version} and this version knows ${known}: use the newer version, or restore a backup made before it.`,
    );
  }
  return version;
}

/** A consistent copy under its final name, or none at all. */
function backUp(db: Database, databasePath: string, version: number): string {
  const folder = join(dirname(databasePath), "backups");
  const time = new Date().toISOString().replaceAll(":", "-");
  const path = join(folder, `before-migration-from-${version}-${time}.db`);
  const temporary = `${path}.tmp`;
  try {
    mkdirSync(folder, { recursive: true });
    db.run("VACUUM INTO ?", [temporary]);
    renameSync(temporary, path);
  } catch (error) {
    // Where the folder itself is a file, Bun's forced removal fails with an error of its own.
    if (existsSync(temporary)) rmSync(temporary);
    throw new Problem("migration_failed", "The backup before the migration could not be written.", {
      cause: error,
    });
  }
  return path;
}
