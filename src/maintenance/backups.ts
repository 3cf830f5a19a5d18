import { Type } from "@sinclair/typebox";
import type { BackupDescription } from "../contract/backups.ts";
import type { JobDescription } from "../contract/jobs.ts";
import type { AddOptions, JobKind } from "../jobs/job-kind.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { RunTask } from "../jobs/task-process.ts";
import { Problem } from "../problems.ts";
import {
  backupName,
  listBackups,
  removeBackup,
  removeBrokenBackup,
  removeBrokenBackups,
  type Backup,
} from "../store/local/backup.ts";
import { getLogger } from "../telemetry/logs.ts";

const log = getLogger("maintenance");

/** Name of the task that copies, for the child that has it. */
export const BACKUP_TASK = "backup";

export interface BackupArgs {
  folder: string;
  name: string;
}

export interface BackupsDeps {
  jobs: Jobs;
  /** The data directory. */
  folder: string;
  /** Backups that are kept; older ones are removed when one more was made. */
  keep: number;
  runTask: RunTask;
}

const PayloadSchema = Type.Object({ name: Type.String() });

/** Copies of the data, made while everything else goes on. */
export function createBackups(deps: BackupsDeps) {
  const { jobs, folder } = deps;
  const queue = jobs.register(backupKind(deps));
  return {
    /** Removes what backups that were cut off have left; before jobs are started. */
    open: (): void => removeBrokenBackups(folder),
    /** Resolves when the job that makes one is stored. @throws Problem `busy` */
    make(options: AddOptions = {}): Promise<JobDescription> {
      const suffix = crypto.randomUUID().slice(0, 8);
      const name = backupName(Date.now(), suffix);
      // An operator waits for it, and it is best made before whatever comes next.
      return queue.add({ name }, { priority: "high", ...options });
    },
    /** The newest first. */
    list: async (): Promise<BackupDescription[]> => (await listBackups(folder)).map(describeBackup),
    /** @throws Problem `backup_not_found` */
    async remove(name: string): Promise<void> {
      if (!(await removeBackup(folder, name))) {
        throw new Problem("backup_not_found", "There is no backup of this name.");
      }
      log.info("backup.removed", { backup: name });
    },
  };
}

export type Backups = ReturnType<typeof createBackups>;

function backupKind({ folder, keep, runTask }: BackupsDeps): JobKind<typeof PayloadSchema> {
  return {
    name: "backup",
    payload: PayloadSchema,
    unit: "backups",
    concurrency: 1,
    async run({ name }, { signal, report }) {
      report({ done: 0, total: 1 });
      const args: BackupArgs = { folder, name };
      const backup = await runTask<Backup>(BACKUP_TASK, { args, signal });
      await removeOld(folder, keep);
      report({ done: 1, total: 1 });
      return { ...describeBackup(backup) };
    },
    // A child that is ended leaves a part of the copy, which may be as large as the data.
    finished: async ({ name }) => removeBrokenBackup(folder, name),
  };
}

/** Only those that somebody asked for: a migration looks after its own. */
async function removeOld(folder: string, keep: number): Promise<void> {
  const asked = (await listBackups(folder)).filter(({ isOfMigration }) => !isOfMigration);
  for (const { name } of asked.slice(keep)) {
    await removeBackup(folder, name);
    log.info("backup.removed", { backup: name });
  }
}

function describeBackup(backup: Backup): BackupDescription {
  return {
    name: backup.name,
    created_at: backup.createdAt,
    bytes: backup.bytes,
    made_by: backup.isOfMigration ? "migration" : "request",
    sha256: backup.sha256 ?? null,
    schema: backup.schema ?? null,
    collections: backup.collections ?? null,
    documents: backup.documents ?? null,
  };
}
