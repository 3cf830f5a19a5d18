import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backupName, backupsIn, writeBackup } from "../../../src/store/local/backup.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { restoreBackup } from "../../../src/store/local/restore.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { oldData } from "../../support/old-data.ts";

const NAME = backupName(Date.parse("2026-01-01T00:00:00Z"), "ab");

const JOB = {
  id: "job",
  kind: "ingest",
  collection: null,
  priority: "normal",
  payload: {},
  total: null,
  unit: "documents",
  attemptsMax: 5,
  requestId: null,
  traceparent: null,
  runId: null,
} as const;

/** A data directory with a room, a job that waits and a backup of both; the room is written further after it. */
async function withBackup(folder: string): Promise<{ epoch: string; path: string }> {
  await using store = await LocalStore.open(folder);
  await store.addJob(JOB, 1);
  await store.appendPublications([{ room: "laps", data: "1" }], 1);
  const { name } = await writeBackup(folder, NAME);
  await store.appendPublications([{ room: "laps", data: "2" }], 2);
  return { epoch: store.epoch, path: join(backupsIn(folder), name) };
}

describe("a backup", () => {
  test("is not made again under the same name", async () => {
    using dir = tempDir();
    const { path } = await withBackup(dir.path);
    const before = readFileSync(path);
    const again = await writeBackup(dir.path, NAME);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(again).toMatchObject({ name: NAME, createdAt: "2026-01-01T00:00:00.000Z" });
  });

  test("of a directory without data is refused", async () => {
    using dir = tempDir();
    expect((await problemOf(() => writeBackup(dir.path, NAME))).code).toBe("not_ready");
    expect(readdirSync(backupsIn(dir.path))).toEqual([]);
  });
});

describe("a restore", () => {
  test("does not take a database without what is still in the WAL beside it", async () => {
    using dir = tempDir();
    using other = tempDir();
    await (await LocalStore.open(other.path))[Symbol.asyncDispose]();
    await using store = await LocalStore.open(other.path);
    await store.appendPublications([{ room: "laps", data: "1" }], 1);
    // As after a crash of the server that had it.
    const problem = await problemOf(() =>
      restoreBackup(dir.path, join(other.path, "slipstream.db")),
    );
    expect(problem.code).toBe("data_damaged");
    expect(readdirSync(dir.path).filter((name) => name.startsWith("slipstream.db"))).toEqual([]);
  });

  test("brings the backup's data back under a new epoch, and keeps what was there", async () => {
    using dir = tempDir();
    const { epoch } = await withBackup(dir.path);
    // By its name alone, as it is listed.
    const restored = await restoreBackup(dir.path, NAME);
    {
      await using store = await LocalStore.open(dir.path);
      expect((await store.room("laps"))?.head).toBe(1);
      expect(store.epoch).toBe(restored.epoch);
      expect(store.epoch).not.toBe(epoch);
      // What waited in the data's other life does not begin in this one.
      expect((await store.job("job"))?.state).toBe("cancelled");
    }
    const { before = "" } = restored;
    expect(readdirSync(before)).toEqual(["slipstream.db"]);
    const back = await restoreBackup(dir.path, join(before, "slipstream.db"));
    await using store = await LocalStore.open(dir.path);
    expect((await store.room("laps"))?.head).toBe(2);
    expect(back.before).not.toBe(before);
  });

  test("into a directory that has no data yet keeps nothing aside", async () => {
    using dir = tempDir();
    using other = tempDir();
    const { path } = await withBackup(dir.path);
    expect((await restoreBackup(join(other.path, "new"), path)).before).toBeUndefined();
    await using store = await LocalStore.open(join(other.path, "new"));
    expect((await store.room("laps"))?.head).toBe(1);
  });

  test("takes data of an older schema, which the next start migrates", async () => {
    using dir = tempDir();
    using old = oldData("v0.1");
    const { schema } = await restoreBackup(dir.path, join(old.dataDir, "slipstream.db"));
    expect(schema).toBeLessThan(5);
    await using store = await LocalStore.open(dir.path);
    expect(await store.check()).toEqual([]);
  });

  test("is refused while the data is in use", async () => {
    using dir = tempDir();
    const { path } = await withBackup(dir.path);
    await using _store = await LocalStore.open(dir.path);
    expect((await problemOf(() => restoreBackup(dir.path, path))).code).toBe("data_locked");
  });

  test("of a file that is damaged, none of ours, or not there changes nothing", async () => {
    using dir = tempDir();
    const { path } = await withBackup(dir.path);
    const data = readFileSync(join(dir.path, "slipstream.db"));
    const other = join(dir.path, "other.db");
    writeFileSync(other, "no database");
    const cut = join(dir.path, "cut.db");
    writeFileSync(cut, readFileSync(path).subarray(0, 20_000));
    truncateSync(path, readFileSync(path).length - 4096);
    for (const [given, code] of [
      [other, "data_damaged"],
      [cut, "data_damaged"],
      [path, "data_damaged"],
      [join(dir.path, "none.db"), "backup_not_found"],
    ] as const) {
      expect((await problemOf(() => restoreBackup(dir.path, given))).code).toBe(code);
    }
    expect(readFileSync(join(dir.path, "slipstream.db")).equals(data)).toBe(true);
    expect(existsSync(join(dir.path, "slipstream.db.restoring"))).toBe(false);
  });
});
