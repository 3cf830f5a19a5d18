import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createJobs } from "../../../src/jobs/jobs.ts";
import type { RunTask } from "../../../src/jobs/task-process.ts";
import { createBackups, type BackupArgs } from "../../../src/maintenance/backups.ts";
import { backupsIn } from "../../../src/store/local/backup.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";

test("a backup that is cancelled leaves no part of the copy", async () => {
  using dir = tempDir();
  await using store = await LocalStore.open(dir.path);
  await using jobs = createJobs({ store, workers: 1 });
  const folder = backupsIn(dir.path);
  // A child in the middle of its copy, which is ended by the signal.
  const runTask: RunTask = (_task, { args, signal }) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the only task that is run here takes these
    const { name } = args as BackupArgs;
    mkdirSync(folder);
    writeFileSync(join(folder, `${name}.tmp`), "a part");
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason));
    return promise;
  };
  const backups = createBackups({ jobs, folder: dir.path, keep: 1, runTask });
  await jobs.start();
  const { id } = await backups.make();
  await eventually("it copies", () =>
    readdirSync(dir.path).includes("backups") ? true : undefined,
  );
  await jobs.cancel(id);
  await eventually("it has ended", async () =>
    (await jobs.get(id)).state === "cancelled" ? true : undefined,
  );
  expect(readdirSync(folder)).toEqual([]);
});
