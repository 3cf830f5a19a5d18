import { READ_TASK } from "../ingest/ingest-job.ts";
import { readFiles, type ReadArgs, type ReadBatch } from "../ingest/read-task.ts";
import { serveTasks } from "../jobs/serve-tasks.ts";
import { BACKUP_TASK, type BackupArgs } from "../maintenance/backups.ts";
import { writeBackup } from "../store/local/backup.ts";

/** The whole life of a process that does one job's heavy work. It logs nothing: what happens is the parent's to tell. */
export function runTaskChild(): Promise<never> {
  return serveTasks({
    [READ_TASK]: (args: ReadArgs, give: (batch: ReadBatch) => Promise<void>) =>
      readFiles(args, give),
    [BACKUP_TASK]: ({ folder, name }: BackupArgs) => writeBackup(folder, name),
  });
}
