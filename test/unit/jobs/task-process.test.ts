import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TASK_COMMAND } from "../../../src/engine/child-command.ts";
import { READ_TASK } from "../../../src/ingest/ingest-job.ts";
import type { ReadBatch } from "../../../src/ingest/read-task.ts";
import { runTask } from "../../../src/jobs/task-process.ts";
import { canListChildren, childrenOf, onlyChildOf } from "../../support/child-processes.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";

/** Reads 1,000 lines in batches of 100. */
function reading(folder: string) {
  const lines = Array.from({ length: 1000 }, (_, id) => JSON.stringify({ id: `${id}`, text: "t" }));
  writeFileSync(join(folder, "0.jsonl"), lines.join("\n"));
  const files = [{ id: "f", name: "0.jsonl", units: 1000 }];
  return { folder, files, from: { file: 0, results: 0 } };
}

const never = new AbortController().signal;

describe("a task in a child process", () => {
  test("gives its items one at a time, in order, and leaves no process behind", async () => {
    using dir = tempDir();
    const ids: string[] = [];
    let atOnce = 0;
    await runTask(READ_TASK, {
      args: reading(dir.path),
      signal: never,
      async onItem({ documents }: ReadBatch) {
        expect(++atOnce).toBe(1);
        await new Promise(setImmediate);
        ids.push(...documents.map(({ document }) => document.id));
        atOnce--;
      },
    });
    expect(ids).toEqual(Array.from({ length: 1000 }, (_, id) => `${id}`));
    if (canListChildren) expect(childrenOf(TASK_COMMAND)).toEqual([]);
  });

  test("ends with the signal, with its reason", async () => {
    using dir = tempDir();
    const stop = new AbortController();
    const running = runTask(READ_TASK, {
      args: reading(dir.path),
      signal: stop.signal,
      onItem: async () => stop.abort(new Error("not wanted")),
    });
    expect(await running.then(String, String)).toContain("not wanted");
    const early = runTask(READ_TASK, { args: reading(dir.path), signal: stop.signal });
    expect(await early.then(String, String)).toContain("not wanted");
  });

  test("fails with what its item's taker fails with", async () => {
    using dir = tempDir();
    const running = runTask(READ_TASK, {
      args: reading(dir.path),
      signal: never,
      onItem: () => Promise.reject(new Error("no room")),
    });
    expect(await running.then(String, String)).toContain("no room");
  });

  test("fails with the problem that the task has, and where there is no such task", async () => {
    using dir = tempDir();
    const args = { folder: dir.path, name: "backup-2026-01-01T00-00-00.000Z-ab.db" };
    expect((await problemOf(() => runTask("backup", { args, signal: never }))).code).toBe(
      "not_ready",
    );
    const none = runTask("none", { args: {}, signal: never });
    expect(await none.then(String, String)).toContain("there is no task none");
  });

  test.skipIf(!canListChildren)("that is killed fails so that it is tried again", async () => {
    using dir = tempDir();
    const running = runTask(READ_TASK, {
      args: reading(dir.path),
      signal: never,
      async onItem() {
        const pid = await eventually("the child is there", () => onlyChildOf(TASK_COMMAND));
        process.kill(pid, "SIGKILL");
      },
    });
    expect((await problemOf(() => running)).code).toBe("engine_lost");
  });
});
