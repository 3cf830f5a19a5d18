import { describe, expect, test } from "bun:test";
import type { JobProgress, NewJob } from "../../../src/store/job-store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { OPENERS } from "./openers.ts";

const START_MS = 1_000_000;

const newJob = (id: string, job: Partial<NewJob> = {}): NewJob => ({
  id,
  kind: "ingest",
  collection: "notes",
  priority: "normal",
  payload: { files: [id] },
  total: 10,
  unit: "documents",
  attemptsMax: 3,
  requestId: "request",
  traceparent: null,
  runId: null,
  ...job,
});

const progress = (done: number, more: Partial<JobProgress> = {}): JobProgress => ({
  done,
  total: 10,
  checkpoint: undefined,
  newErrors: [],
  errors: 0,
  ...more,
});

describe.each(OPENERS)("jobs in a %s", (_, open) => {
  test("are claimed once, the urgent ones first, then those that came first", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await store.addJob(newJob("low", { priority: "low" }), START_MS);
    await store.addJob(newJob("first"), START_MS);
    await store.addJob(newJob("second"), START_MS);
    await store.addJob(newJob("high", { priority: "high" }), START_MS);
    await store.addJob(newJob("other", { kind: "backup", priority: "high" }), START_MS);
    const claims = Array.from({ length: 6 }, () => store.claimJob(["ingest"], START_MS));
    const claimed = await Promise.all(claims);
    expect(claimed.map((job) => job?.id)).toEqual([
      "high",
      "first",
      "second",
      "low",
      undefined,
      undefined,
    ]);
    expect(claimed[0]).toMatchObject({ state: "running", attempts: 1, startedAtMs: START_MS });
    expect(await store.jobCounts()).toEqual({ queued: 1, running: 4 });
  });

  test("wait for their time, and the next time is told", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await store.addJob(newJob("a"), START_MS + 50);
    expect(await store.claimJob(["ingest"], START_MS)).toBeUndefined();
    expect(await store.nextJobAtMs(["ingest"])).toBe(START_MS + 50);
    expect(await store.nextJobAtMs(["backup"])).toBeUndefined();
    expect(await store.claimJob(["ingest"], START_MS + 50)).toMatchObject({ id: "a" });
  });

  test("move only from the state that is named", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await store.addJob(newJob("a"), START_MS);
    const succeed = () =>
      store.moveJob("a", {
        from: "running",
        to: "succeeded",
        atMs: START_MS,
        result: { ok: true },
        progress: progress(10),
      });
    expect(await succeed()).toBeUndefined();
    expect(await store.markJobCancelling("a")).toBeUndefined();
    await store.claimJob(["ingest"], START_MS);
    const cancel = { from: "queued", to: "cancelled", atMs: START_MS } as const;
    expect(await store.moveJob("a", cancel)).toBeUndefined();
    expect(await succeed()).toMatchObject({ state: "succeeded", done: 10, result: { ok: true } });
    expect(await succeed()).toBeUndefined();
    await store.saveJob("a", progress(3));
    expect((await store.job("a"))?.done).toBe(10);
  });

  test("keep what they are told across a restart", async () => {
    using dir = tempDir();
    const error = { source: "f", line: null, code: "invalid_request", message: "empty" } as const;
    {
      await using store = await open(dir.path);
      await store.addJob(newJob("a", { traceparent: "00-1-2-01" }), START_MS);
      await store.claimJob(["ingest"], START_MS);
      const saved = progress(4, { checkpoint: { at: 4 }, newErrors: [error], errors: 1 });
      await store.saveJob("a", saved);
    }
    await using store = await open(dir.path);
    expect(await store.job("a")).toMatchObject({
      state: "running",
      payload: { files: ["a"] },
      checkpoint: { at: 4 },
      result: undefined,
      requestId: "request",
      traceparent: "00-1-2-01",
      errors: 1,
    });
    expect(await store.jobErrors("a", { after: 0, limit: 5 })).toEqual([{ number: 1, ...error }]);
    expect(await store.recoverJobs(START_MS + 1)).toMatchObject([{ id: "a", state: "queued" }]);
  });

  test("of a run are counted together; the run takes no more once they have ended", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    await store.addJob(newJob("a", { runId: "r" }), START_MS);
    await store.addJob(newJob("b", { runId: "r" }), START_MS);
    const elsewhere = newJob("c", { runId: "r", collection: "other" });
    expect((await problemOf(() => store.addJob(elsewhere, START_MS))).code).toBe("job_state");
    await store.claimJob(["ingest"], START_MS);
    const errors = { errors: 2 };
    await store.moveJob("a", {
      from: "running",
      to: "succeeded",
      atMs: START_MS + 5,
      result: { documents: 8 },
      progress: progress(10, errors),
    });
    expect(await store.ingestRun("r")).toMatchObject({
      jobs: { queued: 1, running: 0, succeeded: 1, failed: 0, cancelled: 0 },
      done: 10,
      documents: 8,
      errors: 2,
      finishedAtMs: null,
    });
    await store.moveJob("b", { from: "queued", to: "cancelled", atMs: START_MS + 9 });
    expect((await store.ingestRun("r"))?.finishedAtMs).toBe(START_MS + 9);
    const late = newJob("late", { runId: "r" });
    expect((await problemOf(() => store.addJob(late, START_MS))).code).toBe("job_state");
  });

  test("are removed past an age and past a number, with their runs", async () => {
    using dir = tempDir();
    await using store = await open(dir.path);
    for (const [index, id] of ["a", "b", "c", "d"].entries()) {
      await store.addJob(newJob(id, { runId: `run-${id}` }), START_MS);
      if (id !== "d")
        await store.moveJob(id, { from: "queued", to: "cancelled", atMs: START_MS + index });
    }
    await store.pruneJobs({ finishedBeforeMs: START_MS + 1, keep: 100 });
    expect((await store.jobs({ before: 100, limit: 10 })).map(({ id }) => id)).toEqual([
      "d",
      "c",
      "b",
    ]);
    expect(await store.ingestRun("run-a")).toBeUndefined();
    await store.pruneJobs({ finishedBeforeMs: 0, keep: 1 });
    expect((await store.jobs({ before: 100, limit: 10 })).map(({ id }) => id)).toEqual(["d", "c"]);
    expect(await store.pruneJobs({ finishedBeforeMs: 0, keep: 1 })).toBe(0);
  });
});
