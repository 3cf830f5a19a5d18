import type { Database } from "bun:sqlite";
import { getDatabaseVersion, migrate, type Migration } from "./migrator.js";
import initial from "../../../migrations/0001_initial.sql" with { type: "text" };
import indexLog from "../../../migrations/0002_index_log.sql" with { type: "text" };
import rooms from "../../../migrations/0003_rooms.sql" with { type: "text" };
import standing from "../../../migrations/0004_standing_queries.sql" with { type: "text" };
import jobs from "../../../migrations/0005_jobs.sql" with { type: "text" };
import embedAgain from "../../../migrations/0006_embed_again.sql" with { type: "text" };
import webhookTraces from "../../../migrations/0007_webhook_traces.sql" with { type: "text" };
import { Problem } from "../../problems.ts";
import { backUp } from "./migration-backup.ts";
import {
  completeRecord,
  dropRecord,
  hasTable,
  isRecordComplete,
  recorded,
  refuseChanged,
} from "./migration-record.ts";

/** In order, by the names of their files; the text is inside the binary. */
const TEXTS = {
  initial,
  index_log: indexLog,
  rooms,
  standing_queries: standing,
  jobs,
  embed_again: embedAgain,
  webhook_traces: webhookTraces,
};

/** Reads the `-- up` and `-- down` parts of one migration's text. */
function parse([name, text]: [string, string], index: number): Migration & { name: string } {
  const [, up, down] = /^-- up\n([\s\S]*)\n-- down\n([\s\S]*)$/.exec(text) ?? [];
  if (up === undefined || down === undefined)
    throw new Error(`migration ${index + 1} lacks its -- up or -- down part`);
  return { version: index + 1, name, up: [up], down };
}

export const MIGRATIONS: readonly (Migration & { name: string })[] =
  Object.entries(TEXTS).map(parse);

/** The schema that this program reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings a database to the last of the migrations. An older one that holds anything is first copied to `backups/` beside it.
 * @throws Problem as `migrateTo`
 */
export function migrateUp(
  db: Database,
  databasePath: string,
  migrations: readonly Migration[] = MIGRATIONS,
): { from: number; backup: string | undefined } {
  return migrateTo(db, { databasePath, target: migrations.length, migrations });
}

/**
 * Brings a database to the schema `target`, up or down: a copy of it first, then every step in a savepoint of its own and
 * all of them in one transaction, so that a step that fails leaves the data as it was.
 * @throws Problem `migration_failed`, `migration_changed`, `schema_newer`
 */
export function migrateTo(
  db: Database,
  {
    databasePath,
    target,
    migrations = MIGRATIONS,
  }: { databasePath: string; target: number; migrations?: readonly Migration[] },
): { from: number; backup: string | undefined } {
  const from = refuseNewer(db, migrations.length);
  refuseChanged(db, migrations);
  if (from === target) {
    if (!isRecordComplete(db, from))
      db.transaction(() => completeRecord(db, migrations, from)).immediate();
    return { from, backup: undefined };
  }
  const backup = from === 0 ? undefined : backUp(db, databasePath, from);
  let reached = from;
  try {
    db.transaction(() => {
      completeRecord(db, migrations, from);
      try {
        migrate(db, recorded(migrations), target);
      } finally {
        reached = getDatabaseVersion(db);
      }
      if (target < from) beginNewLife(db);
      if (target === 0) dropRecord(db);
    }).immediate();
  } catch (error) {
    const step = `The step from schema ${reached} ${target > from ? "up" : "down"} failed`;
    const copy = backup === undefined ? "" : ` A copy from before is ${backup}.`;
    throw new Problem(
      "migration_failed",
      `${step} and was undone: the data has schema ${getDatabaseVersion(db)}, as before.${copy}`,
      { cause: error },
    );
  }
  return { from, backup };
}

/**
 * Data that went down has lost what its newer schema held, numbers that were given out among it. A new epoch, which the
 * next start makes, tells indexes and clients that what they remember of it is void.
 */
function beginNewLife(db: Database): void {
  if (hasTable(db, "facts")) db.run("DELETE FROM facts WHERE name = 'epoch'");
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
