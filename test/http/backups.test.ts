import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { BackupSchema } from "../../src/contract/backups.ts";
import { pageOf } from "../../src/contract/shared.ts";
import { checkCopy, sha256Of } from "../../src/store/local/backup.ts";
import { jobEnded, jobOf } from "../support/jobs.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { createRules, expectProblem, read, writeRules } from "./answers.ts";

let dir: ReturnType<typeof tempDir>;
let server: TestServer;

beforeAll(async () => {
  dir = tempDir();
  mkdirSync(join(dir.path, "backups"));
  writeFileSync(join(dir.path, "backups", "backup-2026-01-01T00-00-00.000Z-ab.db.tmp"), "cut off");
  server = await startServer({ env: { DATA_DIR: dir.path, BACKUPS_KEEP: "2" } });
  await createRules(server);
  await writeRules(server, [{ text: "red flag" }, { text: "green flag" }]);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

async function makeBackup() {
  const answer = await fetch(`${server.url}/api/v1/backups`, { method: "POST" });
  const job = await jobEnded(server.url, (await jobOf(answer)).id);
  expect(job).toMatchObject({ kind: "backup", state: "succeeded", priority: "high" });
  return Value.Parse(BackupSchema, job.result);
}

const list = async (query = "") =>
  read(pageOf(BackupSchema), await server.call(`GET /api/v1/backups${query}`));

describe("a backup", () => {
  test("is a whole copy of the data, with its checksum and what is in it", async () => {
    const backup = await makeBackup();
    const path = join(dir.path, "backups", backup.name);
    expect(backup).toMatchObject({ made_by: "request", collections: 1, documents: 2 });
    expect(await sha256Of(path)).toBe(backup.sha256 ?? "");
    expect(checkCopy(path)).toMatchObject({ documents: 2 });
    expect((await list()).items).toEqual([backup]);
    expect(readdirSync(join(dir.path, "backups")).filter((name) => name.endsWith(".tmp"))).toEqual(
      [],
    );
  });

  test("too many takes the place of the oldest; a migration's copy stays", async () => {
    const ofMigration = "before-migration-from-1-2025-01-01T00-00-00.000Z.db";
    writeFileSync(join(dir.path, "backups", ofMigration), "");
    const first = await makeBackup();
    const second = await makeBackup();
    const { items } = await list();
    expect(items.map(({ name }) => name)).toEqual([second.name, first.name, ofMigration]);
    expect(items[2]).toMatchObject({ made_by: "migration", sha256: null });
    const page = await list("?limit=1");
    expect(page.items).toEqual([second]);
    expect((await list(`?limit=1&cursor=${page.next_cursor}`)).items).toEqual([first]);
    rmSync(join(dir.path, "backups", ofMigration));
  });

  test("can be deleted, and what is none cannot", async () => {
    const { name } = await makeBackup();
    expect((await server.call(`DELETE /api/v1/backups/${name}`)).status).toBe(204);
    expect(existsSync(join(dir.path, "backups", `${name}.json`))).toBe(false);
    for (const other of [name, "..%2Fslipstream.db", "lock.db"]) {
      const answer = await server.call(`DELETE /api/v1/backups/${other}`);
      expectProblem(answer, 404, "backup_not_found");
    }
    expect(existsSync(join(dir.path, "slipstream.db"))).toBe(true);
  });
});
