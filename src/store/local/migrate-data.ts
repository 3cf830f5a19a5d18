import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataLock } from "./lock.ts";
import { hashOf, numberOf, readRecord } from "./migration-record.ts";
import { MIGRATIONS, migrateTo, refuseNewer, SCHEMA_VERSION } from "./migrations.ts";
import { openDatabase, toProblem } from "./open-database.ts";

/** How a data directory stands to the migrations of this program. */
export interface MigrationStatus {
  /** The schema that the data has; 0 where there is none yet. */
  schema: number;
  /** The schema that this program reads and writes. */
  known: number;
  migrations: {
    /** `0001`. */
    number: string;
    name: string;
    /** `changed`: it was applied with another text than this program has. */
    state: "applied" | "pending" | "changed";
    /** ISO 8601; null where it is not applied, or was before this was remembered. */
    applied_at: string | null;
  }[];
}

/** Only reads, so it may be asked while a server holds the data. @throws Problem `schema_newer`, `data_damaged` */
export function migrationStatus(folder: string): MigrationStatus {
  const path = databaseIn(folder);
  if (!existsSync(path)) return statusOf(0, new Map());
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true, strict: true });
    return statusOf(refuseNewer(db), readRecord(db));
  } catch (error) {
    throw toProblem(error);
  } finally {
    db?.close();
  }
}

/** What a migration of a data directory did. */
export interface DataMigration {
  from: number;
  to: number;
  /** The copy that was made before; undefined where nothing had to be done. */
  backup: string | undefined;
}

/**
 * Brings a data directory that nobody uses to another schema. `target` is told the schema it has and says which it
 * shall have; it is not asked where there is no data. @throws Problem `data_locked`, and as `migrateTo`
 */
export function migrateData(folder: string, target: (from: number) => number): DataMigration {
  const path = databaseIn(folder);
  if (!existsSync(path)) return { from: 0, to: 0, backup: undefined };
  try {
    using _lock = DataLock.take(folder);
    const db = openDatabase(path);
    try {
      const to = target(refuseNewer(db));
      const { from, backup } = migrateTo(db, { databasePath: path, target: to });
      return { from, to, backup };
    } finally {
      db.close();
    }
  } catch (error) {
    throw toProblem(error);
  }
}

function databaseIn(folder: string): string {
  return join(folder, "slipstream.db");
}

function statusOf(schema: number, record: ReturnType<typeof readRecord>): MigrationStatus {
  const migrations = MIGRATIONS.map((migration) => {
    const { version, name } = migration;
    const applied = record.get(version);
    const changed = applied !== undefined && applied.sha256 !== hashOf(migration);
    return {
      number: numberOf(version),
      name,
      state:
        version > schema
          ? ("pending" as const)
          : changed
            ? ("changed" as const)
            : ("applied" as const),
      applied_at: applied?.appliedAt ?? null,
    };
  });
  return { schema, known: SCHEMA_VERSION, migrations };
}
