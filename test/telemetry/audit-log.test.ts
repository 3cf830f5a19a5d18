import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BackupSchema } from "../../src/contract/backups.ts";
import { pageOf } from "../../src/contract/shared.ts";
import { openAuditLog } from "../../src/telemetry/audit-log.ts";
import { withLogContext } from "../../src/telemetry/logs.ts";
import { createRules, writeRules } from "../http/answers.ts";
import { jobEnded, jobOf } from "../support/jobs.ts";
import { runProgram } from "../support/process.ts";
import { shaped, startServer, type TestServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const DAY_MS = 24 * 60 * 60_000;

/** All lines of the audit log in a folder. */
function rowsIn(folder: string): Record<string, unknown>[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1))
    .map((line) => JSON.parse(line));
}

/** Calls that change what an auditor asks about, each with an id of its own. */
async function change(server: TestServer): Promise<void> {
  const call = async (target: string, id: string, body?: unknown) => {
    const { status } = await server.call(target, body, { "x-request-id": id });
    expect(`${target}: ${status}`).toMatch(/: 20[0-4]$/);
  };
  await createRules(server);
  await writeRules(server, [{ text: "red flag", metadata: { lap: 1 } }]);
  await call("PATCH /api/v1/collections/rules", "r-patch", {
    fusion: { method: "weighted", weight: 0.3 },
  });
  await call("PUT /api/v1/aliases/live", "r-alias", { collection: "rules" });
  const gone = { filter: { lap: 1 } };
  await call("POST /api/v1/collections/rules/documents/delete", "r-delete", gone);
  await call("DELETE /api/v1/aliases/live", "r-unalias");
  await call("DELETE /api/v1/collections/rules", "r-drop");
  await call("PUT /api/v1/rooms/news", "r-room", { history_messages: 5 });
  await call("DELETE /api/v1/rooms/news", "r-forget");
}

describe("the audit log", () => {
  test("has who did what to the data, with the request's id, and nothing of what was in it", async () => {
    using dir = tempDir();
    {
      await using server = await startServer({ env: { DATA_DIR: dir.path } });
      await change(server);
    }
    const rows = rowsIn(join(dir.path, "audit"));
    expect(rows.map(({ event, request_id }) => [event, request_id]).slice(1)).toEqual([
      ["collection.changed", "r-patch"],
      ["alias.set", "r-alias"],
      ["documents.deleted", "r-delete"],
      ["alias.removed", "r-unalias"],
      ["collection.dropped", "r-drop"],
      ["room.configured", "r-room"],
      ["room.removed", "r-forget"],
    ]);
    expect(rows[0]).toMatchObject({ event: "collection.created", collection: "rules" });
    expect(rows[3]).toMatchObject({ collection: "rules", by: "filter", deleted: 1 });
    expect(JSON.stringify(rows)).not.toMatch(/flag|lap/);
  });

  test("is in the folder that AUDIT_LOG names, and goes on there after a restart", async () => {
    using dir = tempDir();
    const folder = join(dir.path, "elsewhere");
    const env = { DATA_DIR: join(dir.path, "db"), AUDIT_LOG: folder };
    for (let round = 0; round < 2; round++) {
      await using server = await startServer({ env });
      await createRules(server);
      await server.call("DELETE /api/v1/collections/rules");
    }
    expect(rowsIn(folder).map(({ event }) => event)).toEqual([
      "collection.created",
      "collection.dropped",
      "collection.created",
      "collection.dropped",
    ]);
  });

  test("has backups that were asked for and removed, and the one that was restored", async () => {
    using dir = tempDir();
    let name = "";
    {
      await using server = await startServer({ env: { DATA_DIR: dir.path } });
      await createRules(server);
      const asked = await fetch(`${server.url}/api/v1/backups`, { method: "POST" });
      await jobEnded(server.url, (await jobOf(asked)).id);
      const { json } = await server.call("GET /api/v1/backups");
      name = shaped(pageOf(BackupSchema), json).items[0]?.name ?? "";
    }
    const env = { DATA_DIR: dir.path, LOG_LEVEL: "critical" };
    const restored = await runProgram(["restore", name], { cwd: dir.path, env });
    expect(restored.exitCode).toBe(0);
    {
      await using server = await startServer({ env: { DATA_DIR: dir.path } });
      expect((await server.call(`DELETE /api/v1/backups/${name}`)).status).toBe(204);
    }
    expect(rowsIn(join(dir.path, "audit")).map(({ event }) => event)).toEqual([
      "collection.created",
      "backup.asked",
      "backup.restored",
      "backup.removed",
    ]);
  });

  test("does not say that something was done which was refused", async () => {
    using dir = tempDir();
    {
      await using server = await startServer({ env: { DATA_DIR: dir.path } });
      await server.call("DELETE /api/v1/collections/none");
      await server.call("DELETE /api/v1/aliases/none");
      await server.call("PUT /api/v1/aliases/a", { collection: "none" });
    }
    expect(readdirSync(dir.path)).not.toContain("audit");
  });

  test("has a file a day and keeps thirty days of them", async () => {
    using dir = tempDir();
    let nowMs = Date.parse("2026-03-01T12:00:00Z");
    const aged = (name: string, days: number) => {
      const path = join(dir.path, name);
      writeFileSync(path, "{}\n");
      utimesSync(path, nowMs / 1000 - days * 86_400, nowMs / 1000 - days * 86_400);
    };
    aged("audit-2026-01-29.jsonl", 31);
    aged("audit-2026-01-31.jsonl", 29);
    aged("notes.txt", 400);
    await using audit = openAuditLog({ folder: dir.path, nowMs: () => nowMs });
    audit.write("collection.dropped", { collection: "a" });
    await audit.flush();
    nowMs += DAY_MS;
    audit.write("collection.dropped", { collection: "b" });
    await audit.flush();
    expect(readdirSync(dir.path).toSorted()).toEqual([
      "audit-2026-01-31.jsonl",
      "audit-2026-03-01.jsonl",
      "audit-2026-03-02.jsonl",
      "notes.txt",
    ]);
  });

  test("takes the job's id with the request's, and hides what names a secret", async () => {
    using dir = tempDir();
    {
      await using audit = openAuditLog({ folder: dir.path });
      withLogContext({ request_id: "r1", job_id: "j1" }, () =>
        audit.write("backup.removed", { backup: "b", token: "hunter2" }),
      );
    }
    expect(rowsIn(dir.path)).toEqual([
      {
        timestamp: expect.any(String),
        event: "backup.removed",
        request_id: "r1",
        job_id: "j1",
        backup: "b",
        token: "***REDACTED***",
      },
    ]);
  });

  test("that cannot be written keeps no request from being answered", async () => {
    using dir = tempDir();
    const folder = join(dir.path, "file");
    writeFileSync(folder, "");
    await using server = await startServer({ env: { AUDIT_LOG: folder } });
    await change(server);
  });
});
