import { Value } from "@sinclair/typebox/value";
import { openAudit } from "../boot/audited.ts";
import { parseConfig } from "../config.ts";
import { BackupSchema } from "../contract/backups.ts";
import { restoreBackup } from "../store/local/restore.ts";
import { withTarget } from "./command-context.ts";
import { runJob } from "./follow-job.ts";
import { printResult, say } from "./output.ts";

/** Makes a backup and waits for it; 1 where none could be made. */
export async function backupCommand({ json }: { json?: boolean }): Promise<number> {
  const job = await withTarget((target) => runJob(target, "/api/v1/backups", "backup"), {
    jobs: true,
  });
  if (job.state !== "succeeded") {
    say(`slipstream: no backup was made: ${job.error?.detail ?? `the job is ${job.state}`}`);
    return 1;
  }
  const backup = Value.Parse(BackupSchema, job.result);
  if (json) printResult(JSON.stringify(backup));
  else {
    const megabytes = (backup.bytes / 1e6).toFixed(1);
    printResult(
      `${backup.name}  ${megabytes} MB  ${backup.documents} documents  sha256 ${backup.sha256}`,
    );
  }
  return 0;
}

/** Puts a backup in the place of the data. The server must not run. @throws Problem as `restoreBackup` */
export async function restoreCommand(path: string, { json }: { json?: boolean }): Promise<void> {
  const config = parseConfig(process.env);
  const restored = await restoreBackup(config.dataDir, path);
  const { documents, collections, schema, before = null, epoch, sha256 } = restored;
  await using audit = openAudit(config);
  audit.write("backup.restored", { sha256, documents, collections });
  if (json) {
    printResult(JSON.stringify({ documents, collections, schema, epoch, sha256, before }));
    return;
  }
  printResult(`${documents} documents in ${collections} collections are restored.`);
  if (before !== null) printResult(`The data from before is in ${before}.`);
}
