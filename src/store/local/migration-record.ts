import type { Database } from "bun:sqlite";
import { Problem } from "../../problems.ts";
import type { Migration } from "./migrator.js";

/** A migration that a database has had, with the hash of its text at that time. */
export interface AppliedMigration {
  version: number;
  /** Hex, of the part that leads up. */
  sha256: string;
  /** ISO 8601. */
  appliedAt: string;
}

/** Hash of what a migration does on its way up. */
export function hashOf({ up }: Migration): string {
  return new Bun.CryptoHasher("sha256").update(up.join("\n")).digest("hex");
}

/** What a database remembers of its migrations, by version. Nothing where it is from before they were remembered. */
export function readRecord(db: Database): Map<number, AppliedMigration> {
  if (!hasRecord(db)) return new Map();
  using statement = db.prepare<AppliedMigration, []>(
    "SELECT version, sha256, applied_at AS appliedAt FROM migrations ORDER BY version",
  );
  return new Map(statement.all().map((row) => [row.version, row]));
}

/**
 * Refuses data whose migrations had another text than they have now: nobody could say what its schema is.
 * @throws Problem `migration_changed`
 */
export function refuseChanged(db: Database, migrations: readonly Migration[]): void {
  const record = readRecord(db);
  for (const migration of migrations) {
    const applied = record.get(migration.version);
    if (applied === undefined || applied.sha256 === hashOf(migration)) continue;
    const number = numberOf(migration.version);
    throw new Problem(
      "migration_changed",
      `Migration ${number} is not what it was when this data had it, on ${applied.appliedAt}: use the version that wrote the data. A change of the schema is a new migration.`,
    );
  }
}

/** `0001`, as the files of migrations are numbered. */
export function numberOf(version: number): string {
  return String(version).padStart(4, "0");
}

/** Migrations that write themselves into the record, and strike themselves out on their way down. */
export function recorded(migrations: readonly Migration[]): Migration[] {
  return migrations.map((migration) => ({
    version: migration.version,
    up: [...migration.up, insert(migration)],
    down: `${migration.down}\n;DELETE FROM migrations WHERE version = ${migration.version}`,
  }));
}

/** Makes the record, with what data from before there was one has had. */
export function completeRecord(
  db: Database,
  migrations: readonly Migration[],
  schema: number,
): void {
  const record = readRecord(db);
  if (!hasRecord(db)) {
    db.run(`CREATE TABLE migrations (
      version INTEGER PRIMARY KEY,
      sha256 TEXT NOT NULL,
      applied_at TEXT NOT NULL
    ) STRICT`);
  }
  for (const migration of migrations.slice(0, schema)) {
    if (!record.has(migration.version)) db.run(insert(migration));
  }
}

/** True where every migration up to a schema is in the record. */
export function isRecordComplete(db: Database, schema: number): boolean {
  const record = readRecord(db);
  return Array.from({ length: schema }, (_, index) => record.has(index + 1)).every(Boolean);
}

export function dropRecord(db: Database): void {
  db.run("DROP TABLE migrations");
}

function insert(migration: Migration): string {
  return `INSERT INTO migrations (version, sha256, applied_at)
    VALUES (${migration.version}, '${hashOf(migration)}', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`;
}

function hasRecord(db: Database): boolean {
  return hasTable(db, "migrations");
}

/** True where a database has a table of this name. */
export function hasTable(db: Database, name: string): boolean {
  using statement = db.prepare<{ name: string }, [string]>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?",
  );
  return statement.get(name) !== null;
}
