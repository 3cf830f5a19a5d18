import { Database } from "bun:sqlite";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { syncPath } from "../../lib/sync-path.ts";
import { Problem } from "../../problems.ts";
import { factReadSql } from "./fact-read-sql.ts";
import { fileCheckSql } from "./file-check-sql.ts";
import { refuseNewer } from "./migrations.ts";
import { connect, openReadOnly, toProblem } from "./open-database.ts";

/** What is written down beside a backup when it was made and looked at. */
export interface BackupFacts {
  /** Hex, of the file. */
  sha256: string;
  schema: number;
  epoch: string;
  collections: number;
  documents: number;
}

/** A copy of the data in its folder of backups. */
export interface Backup extends Partial<BackupFacts> {
  name: string;
  bytes: number;
  /** ISO 8601. */
  createdAt: string;
  /** Made by a migration and not because somebody asked. */
  isOfMigration: boolean;
}

const NAME = /^(?:backup|before-migration-from-\d+)-(\d{4}-\d\d-\d\dT[\d.-]+Z)(?:-[0-9a-f]+)?\.db$/;

/** A name that sorts by time; `suffix` is hex and tells backups of one millisecond apart. */
export function backupName(atMs: number, suffix: string): string {
  return `backup-${new Date(atMs).toISOString().replaceAll(":", "-")}-${suffix}.db`;
}

/** Where a data directory has its backups. */
export function backupsIn(folder: string): string {
  return join(folder, "backups");
}

/**
 * Copies the data of a directory that another process writes into its `backups/`, opens the copy, checks all of it, and
 * gives it its name only then. Takes as long as the data is large, and holds its thread: for a process of its own. The
 * same name again gives the first one's facts.
 * @throws Problem `storage_full`, `data_damaged` where the copy is not whole, `not_ready`
 */
export async function writeBackup(folder: string, name: string): Promise<Backup> {
  const backups = backupsIn(folder);
  const path = join(backups, name);
  const known = await backupOf(backups, name);
  if (known?.sha256 !== undefined) return known;
  const temporary = `${path}.tmp`;
  try {
    mkdirSync(backups, { recursive: true });
    rmSync(temporary, { force: true });
    const source = connect(openReadOnly(join(folder, "slipstream.db")));
    try {
      source.db.run("VACUUM INTO ?", [temporary]);
    } finally {
      source.close();
    }
    const facts = { ...checkCopy(temporary), sha256: await sha256Of(temporary) };
    // SQLite does not sync what VACUUM INTO writes (its documentation of VACUUM, section 3).
    syncPath(temporary);
    renameSync(temporary, path);
    writeFacts(path, facts);
    syncPath(backups);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw toProblem(error);
  }
  return requireBackup(backups, name);
}

/** Opens a copy and reads all of it. @throws Problem `data_damaged`, `schema_newer` */
export function checkCopy(path: string): Omit<BackupFacts, "sha256"> {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true, strict: true });
    const schema = refuseNewer(db);
    if (schema === 0) throw new Problem("data_damaged", "The file is no data of this program.");
    const connection = connect(db);
    const problems = fileCheckSql(connection).check();
    const epoch = factReadSql(connection).epoch();
    const counted = connection.keep<{ collections: number; documents: number }, []>(
      "SELECT count(*) AS collections, coalesce(sum(documents), 0) AS documents FROM collections WHERE name IS NOT NULL",
    );
    const counts = counted.get() ?? { collections: 0, documents: 0 };
    connection.close();
    db = undefined;
    const [first] = problems;
    if (first !== undefined) throw new Problem("data_damaged", `The copy is not whole: ${first}.`);
    return { schema, epoch: epoch ?? "", ...counts };
  } catch (error) {
    db?.close();
    throw toProblem(error);
  }
}

/** The newest first. */
export async function listBackups(folder: string): Promise<Backup[]> {
  const backups = backupsIn(folder);
  const names = await readdir(backups).catch(() => []);
  const found = await Promise.all(names.map((name) => backupOf(backups, name)));
  return found
    .flatMap((backup) => backup ?? [])
    .toSorted((one, other) => (one.createdAt < other.createdAt ? 1 : -1));
}

/** Removes one and what is written beside it. False where there is none of that name. */
export async function removeBackup(folder: string, name: string): Promise<boolean> {
  const backups = backupsIn(folder);
  if ((await backupOf(backups, name)) === undefined) return false;
  await rm(join(backups, name), { force: true });
  await rm(factsPath(join(backups, name)), { force: true });
  return true;
}

/** Removes what one that was cut off has left. */
export function removeBrokenBackup(folder: string, name: string): void {
  rmSync(`${join(backupsIn(folder), name)}.tmp`, { force: true });
}

/** Removes what backups that were cut off have left. */
export function removeBrokenBackups(folder: string): void {
  const backups = backupsIn(folder);
  if (!existsSync(backups)) return;
  for (const name of readdirSync(backups)) {
    if (/^backup-.*\.tmp$/.test(name)) rmSync(join(backups, name), { force: true });
  }
}

/** Hex sha256 of a file, read in pieces. */
export async function sha256Of(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(piece);
  return hash.digest("hex");
}

async function requireBackup(backups: string, name: string): Promise<Backup> {
  const backup = await backupOf(backups, name);
  if (backup !== undefined) return backup;
  throw new Problem("backup_not_found", "The backup was removed while it was made.");
}

/** Undefined for a name that is none, and where there is no such file. */
async function backupOf(backups: string, name: string): Promise<Backup | undefined> {
  const time = NAME.exec(name)?.[1];
  if (time === undefined) return undefined;
  const path = join(backups, name);
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) return undefined;
  const createdAt = time.replace(/T(\d\d)-(\d\d)-/, "T$1:$2:");
  const isOfMigration = name.startsWith("before-migration-");
  return { name, bytes: size, createdAt, isOfMigration, ...(await readFacts(path)) };
}

function factsPath(path: string): string {
  return `${path}.json`;
}

function writeFacts(path: string, facts: BackupFacts): void {
  const temporary = `${factsPath(path)}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(facts)}\n`);
  syncPath(temporary);
  renameSync(temporary, factsPath(path));
}

async function readFacts(path: string): Promise<Partial<BackupFacts>> {
  try {
    const facts: unknown = JSON.parse(await readFile(factsPath(path), "utf8"));
    return isFacts(facts) ? facts : {};
  } catch {
    // Written by a migration, or by hand: the file is the backup, and this only says more of it.
    return {};
  }
}

function isFacts(value: unknown): value is BackupFacts {
  return (
    typeof value === "object" &&
    value !== null &&
    "sha256" in value &&
    typeof value.sha256 === "string" &&
    "schema" in value &&
    "epoch" in value &&
    "collections" in value &&
    "documents" in value
  );
}
