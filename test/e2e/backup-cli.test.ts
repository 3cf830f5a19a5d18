import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { BackupSchema } from "../../src/contract/backups.ts";
import { jobEnded, jobOf, uploadFiles } from "../support/jobs.ts";
import { runProgram, startServerProgram } from "../support/process.ts";
import { tempDir } from "../support/temp-dir.ts";

const ENV = { DATA_DIR: "db", EMBEDDING_MODEL_NAME: "static-256" };

/** Runs a command over the data directory `db` of a folder. */
function commandIn(cwd: string) {
  return (...args: string[]) => runProgram(args, { cwd, env: ENV });
}

describe("slipstream backup and restore", () => {
  test("with no server running: what was deleted after the backup is back", async () => {
    using dir = tempDir();
    const run = commandIn(dir.path);
    mkdirSync(join(dir.path, "notes"));
    writeFileSync(join(dir.path, "notes", "a.md"), "A red flag stops the session.");
    expect((await run("ingest", "notes", "-c", "notes", "--no-wait")).exitCode).toBe(0);
    const made = await run("backup", "--json");
    expect(made).toMatchObject({ exitCode: 0, stderr: "" });
    const backup = Value.Parse(BackupSchema, JSON.parse(made.stdout));
    expect(backup).toMatchObject({ documents: 1, collections: 1 });
    await run("collections", "delete", "notes", "--yes");
    const restored = await run("restore", backup.name);
    expect(restored.exitCode).toBe(0);
    expect(restored.stdout).toContain("1 documents in 1 collections are restored.");
    expect((await run("collections")).stdout).toContain("notes  static-256  1 documents");
    const again = await run("backup");
    expect(again.stdout).toMatch(
      /^backup-\S+\.db {2}\S+ MB {2}1 documents {2}sha256 [0-9a-f]{64}\n$/,
    );
    expect(JSON.parse((await run("restore", backup.name, "--json")).stdout)).toMatchObject({
      documents: 1,
      sha256: backup.sha256,
      before: expect.stringContaining("before-restore-"),
    });
  }, 60_000);

  test("with a server running: the backup is made by it, and a restore is refused", async () => {
    using dir = tempDir();
    const run = commandIn(dir.path);
    await using _server = await startServerProgram("db", { cwd: dir.path, env: ENV });
    const { exitCode, stdout } = await run("backup", "--json");
    expect(exitCode).toBe(0);
    const { name } = Value.Parse(BackupSchema, JSON.parse(stdout));
    const refused = await run("restore", name);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain("held by another process");
    expect((await run("restore", "none.db")).stderr).toContain("No such backup");
  }, 60_000);
});

test("slipstream jobs lists, shows and cancels what a server has", async () => {
  using dir = tempDir();
  const run = commandIn(dir.path);
  await using server = await startServerProgram("db", { cwd: dir.path, env: ENV });
  const body = JSON.stringify({ name: "notes" });
  const headers = { "content-type": "application/json" };
  await fetch(`${server.url}/api/v1/collections`, { method: "POST", body, headers });
  const files = { "a.jsonl": '{"text":"yes"}\nno\n' };
  const answer = await uploadFiles(server.url, "/api/v1/collections/notes/files", files);
  const { id } = await jobEnded(server.url, (await jobOf(answer)).id);
  expect((await run("jobs")).stdout).toMatch(
    new RegExp(`^${id}  ingest  succeeded  notes  2 of 2 documents  1 errors  `),
  );
  expect(JSON.parse((await run("jobs", "list", "--kind", "backup", "--json")).stdout)).toEqual([]);
  expect((await run("jobs", "show", id)).stdout).toContain("a.jsonl:2: is not valid JSON");
  expect(JSON.parse((await run("jobs", "show", id, "--json")).stdout)).toMatchObject({ id });
  const cancelled = await run("jobs", "cancel", id);
  expect(cancelled).toMatchObject({ exitCode: 1, stdout: "" });
  expect(cancelled.stderr).toContain("The job is succeeded");
}, 60_000);

test("slipstream jobs cancel ends a job that waits, with no server to run it", async () => {
  using dir = tempDir();
  const run = commandIn(dir.path);
  let id = "";
  {
    const env = { ...ENV, JOB_WORKERS: "0" };
    await using server = await startServerProgram("db", { cwd: dir.path, env });
    ({ id } = await jobOf(await fetch(`${server.url}/api/v1/backups`, { method: "POST" })));
    server.signal("SIGTERM");
    await server.exited;
  }
  expect((await run("jobs", "--state", "queued")).stdout).toContain(id);
  expect((await run("jobs", "cancel", id)).stdout).toBe(`${id} is cancelled.\n`);
  expect((await run("jobs", "list", "--state", "cancelled")).stdout).toContain(id);
}, 60_000);
