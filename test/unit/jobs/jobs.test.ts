import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { limits } from "../../../src/limits.ts";
import { Problem } from "../../../src/problems.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { problemOf } from "../problems/problem-of.ts";
import { newWorld, openWorld, queueWaits, stateOf } from "./world.ts";

describe("a job", () => {
  test("goes from queued over running to succeeded, with its result", async () => {
    await using world = await newWorld();
    const job = await world.queue.add({ name: "a" }, { requestId: "r", total: 3 });
    expect(job).toMatchObject({ state: "queued", kind: "told", request_id: "r", attempts: 0 });
    const one = await world.tried(0);
    await stateOf(world, job.id, "running");
    one.end({ made: 1 });
    const ended = await stateOf(world, job.id, "succeeded");
    expect(ended).toMatchObject({ result: { made: 1 }, attempts: 1, error: null });
    expect(world.told.map(({ state }) => state)).toEqual(["queued", "running", "succeeded"]);
    expect(world.finished).toEqual(["a"]);
  });

  test("runs beside others, but no more than there are workers", async () => {
    await using world = await newWorld({ workers: 2 });
    for (const name of ["a", "b", "c"]) await world.queue.add({ name });
    const first = await world.tried(1).then(() => world.tries[0]);
    expect(await world.jobs.workers()).toEqual({ total: 2, busy: 2, queued: 1 });
    first?.end();
    expect((await world.tried(2)).name).toBe("c");
  });

  test("waits for others of its kind where the kind says so", async () => {
    await using world = await newWorld({ workers: 4, kind: { concurrency: 1 } });
    const jobs = [await world.queue.add({ name: "a" }), await world.queue.add({ name: "b" })];
    (await world.tried(0)).end();
    await world.tried(1);
    await stateOf(world, jobs[0]?.id ?? "", "succeeded");
    expect(world.tries.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  test("of a higher priority goes before those that came earlier", async () => {
    await using world = await newWorld({ workers: 1 });
    await world.queue.add({ name: "running" });
    const running = await world.tried(0);
    await world.queue.add({ name: "low" }, { priority: "low" });
    await world.queue.add({ name: "normal" });
    await world.queue.add({ name: "high" }, { priority: "high" });
    running.end();
    for (const place of [1, 2, 3]) (await world.tried(place)).end();
    expect(world.tries.map(({ name }) => name)).toEqual(["running", "high", "normal", "low"]);
  });

  test("is left in the queue where there are no workers", async () => {
    await using world = await newWorld({ workers: 0 });
    const job = await world.queue.add({ name: "a" });
    expect(await world.jobs.drain(0)).toBe(true);
    expect((await world.jobs.get(job.id)).state).toBe("queued");
    expect(world.tries).toEqual([]);
  });

  test("is refused where too many wait", async () => {
    using dir = tempDir();
    await using world = await openWorld({ folder: dir.path, workers: 0 });
    const add = () => world.queue.add({ name: "a" });
    await add();
    using db = new Database(join(dir.path, "slipstream.db"));
    // As many as that take seconds by the queue itself.
    db.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO jobs (id, kind, state, priority, payload, unit, attempts_max, next_at_ms, created_at_ms)
       SELECT 'id-' || i, 'told', 'queued', 1, '{"name":"a"}', 'things', 5, 0, 0 FROM n`,
      [limits.jobsQueuedMax - 2],
    );
    await add();
    expect((await problemOf(add)).code).toBe("busy");
  });

  test("whose payload this version cannot read fails and is not tried again", async () => {
    await using world = await newWorld();
    const base = { collection: null, priority: "normal", total: null, unit: "things" } as const;
    const rest = { attemptsMax: 5, requestId: null, traceparent: null, runId: null };
    const job = { id: "odd", kind: "told", payload: { other: 1 }, ...base, ...rest };
    await world.store.addJob(job, world.clock.now());
    await world.queue.add({ name: "wakes" });
    const { error } = await stateOf(world, "odd", "failed");
    expect(error?.code).toBe("invalid_request");
  });
});

describe("a try that fails", () => {
  test("is repeated after a time that doubles, until it succeeds", async () => {
    await using world = await newWorld();
    const job = await world.queue.add({ name: "a" });
    for (const [place, delayMs] of [1000, 2000, 4000].entries()) {
      (await world.tried(place)).fail(new Problem("storage_full", "No room."));
      const waiting = await stateOf(world, job.id, "queued");
      expect(waiting).toMatchObject({ attempts: place + 1, error: { code: "storage_full" } });
      const atMs = world.clock.now() + delayMs;
      expect(waiting.next_attempt_at).toBe(new Date(atMs).toISOString());
      await queueWaits(world, place + 1);
      world.clock.pass(delayMs - 1);
      expect(world.tries).toHaveLength(place + 1);
      world.clock.pass(1);
    }
    (await world.tried(3)).end();
    await stateOf(world, job.id, "succeeded");
  });

  test("for good, where another one could not succeed", async () => {
    await using world = await newWorld();
    const job = await world.queue.add({ name: "a" });
    (await world.tried(0)).fail(new Problem("collection_not_found", "It is gone."));
    const failed = await stateOf(world, job.id, "failed");
    expect(failed.error).toEqual({ code: "collection_not_found", detail: "It is gone." });
    expect(world.finished).toEqual(["a"]);
  });

  test("as often as it may fails the job", async () => {
    await using world = await newWorld({ kind: { retry: { attemptsMax: 2, firstMs: 10 } } });
    const job = await world.queue.add({ name: "a" });
    (await world.tried(0)).fail(new Error("by chance"));
    await queueWaits(world, 1);
    world.clock.pass(60_000);
    (await world.tried(1)).fail(new Error("again"));
    const failed = await stateOf(world, job.id, "failed");
    expect(failed).toMatchObject({ attempts: 2, attempts_max: 2, error: { code: "internal" } });
  });

  test("after the checkpoint moved is the first one again, and goes on from it", async () => {
    await using world = await newWorld({ kind: { retry: { attemptsMax: 2, firstMs: 10 } } });
    const job = await world.queue.add({ name: "a" });
    for (let place = 0; place < 4; place++) {
      const one = await world.tried(place);
      expect(one.context.checkpoint).toEqual(place === 0 ? undefined : { at: place });
      expect(one.context.resumed).toBe(place > 0);
      one.context.report({ done: place + 1, checkpoint: { at: place + 1 } });
      one.fail(new Error("by chance"));
      expect((await stateOf(world, job.id, "queued")).attempts).toBe(1);
      await queueWaits(world, place + 1);
      world.clock.pass(60_000);
    }
    (await world.tried(4)).end();
    await stateOf(world, job.id, "succeeded");
  });
});

describe("progress", () => {
  test("is written down twice a second at most, with errors and the time left", async () => {
    await using world = await newWorld();
    const { id } = await world.queue.add({ name: "a" });
    const { context, end } = await world.tried(0);
    await stateOf(world, id, "running");
    world.clock.pass(1000);
    const error = { source: "f", line: 3, code: "invalid_request", message: "wrong" } as const;
    context.report({ done: 1, total: 10 });
    context.report({ done: 2, errors: [error] });
    expect((await world.store.job(id))?.done).toBe(0);
    world.clock.pass(limits.jobProgressMs);
    const told = await eventually("it is told", () => world.told.find(({ errors }) => errors > 0));
    // Two in a second and a half: eight more take four times as long.
    expect(told).toMatchObject({ progress: { done: 2, total: 10 }, errors: 1, time_left_ms: 6000 });
    expect(await world.store.job(id)).toMatchObject({ done: 2, total: 10, errors: 1 });
    expect((await world.jobs.get(id)).first_errors).toEqual([error]);
    end();
    await stateOf(world, id, "succeeded");
    expect(world.told).toHaveLength(4);
  });

  test("is not told any more of a job that has ended while some was written down", async () => {
    await using world = await newWorld();
    const { id } = await world.queue.add({ name: "a" });
    const { context, end } = await world.tried(0);
    await stateOf(world, id, "running");
    context.report({ done: 1 });
    world.clock.pass(limits.jobProgressMs);
    // The write is on its way.
    context.report({ done: 2 });
    end();
    await stateOf(world, id, "succeeded");
    world.clock.pass(limits.jobProgressMs);
    await world.store.saveJob("none", {
      done: 0,
      total: null,
      errors: 0,
      newErrors: [],
      checkpoint: 0,
    });
    expect(world.told.at(-1)).toMatchObject({ state: "succeeded", progress: { done: 2 } });
  });

  test("keeps a thousand errors, each shortened, and counts all", async () => {
    await using world = await newWorld();
    const { id } = await world.queue.add({ name: "a" });
    const { context, end } = await world.tried(0);
    const error = { source: "f", line: null, code: "invalid_request" } as const;
    const errors = Array.from({ length: 1500 }, (_, index) => ({
      ...error,
      message: `${index} ${"x".repeat(1000)}`,
    }));
    context.report({ done: 0, errors: errors.slice(0, 900) });
    context.report({ done: 0, errors: errors.slice(900) });
    end();
    expect((await stateOf(world, id, "succeeded")).errors).toBe(1500);
    const kept = await world.jobs.errors(id, { after: 0, limit: 2000 });
    expect(kept).toHaveLength(limits.jobErrorsMax);
    expect(kept.at(-1)).toMatchObject({ number: 1000, message: expect.stringMatching(/^999 x+$/) });
    expect(kept[0]?.message).toHaveLength(limits.jobErrorMessageCharactersMax);
  });
});

describe("cancelling", () => {
  test("ends a job that waits, at once", async () => {
    await using world = await newWorld({ workers: 0 });
    const { id } = await world.queue.add({ name: "a" });
    expect((await world.jobs.cancel(id)).state).toBe("cancelled");
    expect(world.finished).toEqual(["a"]);
    expect((await world.jobs.cancel(id)).state).toBe("cancelled");
  });

  test("tells a job that runs to stop, and what it had done stays done", async () => {
    await using world = await newWorld();
    const { id } = await world.queue.add({ name: "a" });
    const { context } = await world.tried(0);
    context.report({ done: 5 });
    expect(await world.jobs.cancel(id)).toMatchObject({ state: "running", cancelling: true });
    expect(context.signal.aborted).toBe(true);
    const ended = await stateOf(world, id, "cancelled");
    expect(ended).toMatchObject({ progress: { done: 5 }, cancelling: false, error: null });
  });

  test("reaches a job that fails at the same time: it is not tried again", async () => {
    await using world = await newWorld();
    const { id } = await world.queue.add({ name: "a" });
    const one = await world.tried(0);
    const marked = world.store.markJobCancelling(id);
    one.fail(new Error("by chance"));
    await marked;
    await stateOf(world, id, "cancelled");
  });

  test("what has ended is refused", async () => {
    await using world = await newWorld();
    const { id } = await world.queue.add({ name: "a" });
    (await world.tried(0)).end();
    await stateOf(world, id, "succeeded");
    expect((await problemOf(() => world.jobs.cancel(id))).code).toBe("job_state");
    expect((await problemOf(() => world.jobs.cancel("none"))).code).toBe("job_not_found");
  });
});

const refuse = (): Promise<void> => Promise.reject(new Error("EPERM"));

describe("an end of the server", () => {
  test("lets jobs end for a while, then puts them back, and that is no try", async () => {
    using dir = tempDir();
    let id = "";
    {
      await using world = await openWorld({ folder: dir.path });
      await world.jobs.start();
      ({ id } = await world.queue.add({ name: "long" }));
      const short = await world.queue.add({ name: "short" });
      const long = await world.tried(1).then(() => world.tries[0]);
      long?.context.report({ done: 4, checkpoint: { at: 4 } });
      const draining = world.jobs.drain(50);
      world.tries[1]?.end();
      expect(await draining).toBe(false);
      expect(await world.jobs.get(id)).toMatchObject({ state: "queued", attempts: 0, error: null });
      expect((await world.jobs.get(short.id)).state).toBe("succeeded");
      expect(world.finished).toEqual(["short"]);
    }
    await using next = await openWorld({ folder: dir.path });
    await next.jobs.start();
    const { context, end } = await next.tried(0);
    expect(context).toMatchObject({ checkpoint: { at: 4 }, resumed: true });
    end();
    await stateOf(next, id, "succeeded");
  });

  test("is no reason not to start again where what a job has left cannot be removed", async () => {
    using dir = tempDir();
    {
      await using world = await openWorld({ folder: dir.path, workers: 0 });
      const { id } = await world.queue.add({ name: "a" });
      await world.store.claimJob(["told"], world.clock.now());
      await world.store.markJobCancelling(id);
    }
    await using next = await openWorld({
      folder: dir.path,
      workers: 0,
      kind: { finished: refuse },
    });
    await next.jobs.start();
    const waiting = await next.queue.add({ name: "b" });
    expect((await next.jobs.cancel(waiting.id)).state).toBe("cancelled");
  });

  test("without warning leaves jobs that run again at the next start, in the order of their coming", async () => {
    using dir = tempDir();
    const ids: string[] = [];
    {
      // Claimed by a process that ended before it could say how it went.
      await using world = await openWorld({ folder: dir.path, workers: 0 });
      for (const name of ["a", "b", "c"]) ids.push((await world.queue.add({ name })).id);
      await world.store.claimJob(["told"], world.clock.now());
      await world.store.claimJob(["told"], world.clock.now());
      await world.store.markJobCancelling(ids[1] ?? "");
    }
    await using next = await openWorld({ folder: dir.path, workers: 1 });
    await next.jobs.start();
    expect((await next.jobs.get(ids[1] ?? "")).state).toBe("cancelled");
    expect(next.finished).toEqual(["b"]);
    (await next.tried(0)).end();
    (await next.tried(1)).end();
    await stateOf(next, ids[2] ?? "", "succeeded");
    expect(next.tries.map(({ name }) => name)).toEqual(["a", "c"]);
    expect((await next.jobs.get(ids[0] ?? "")).attempts).toBe(2);
  });

  test("each time that a job runs fails it in the end", async () => {
    using dir = tempDir();
    let id = "";
    for (let life = 0; life < 5; life++) {
      await using world = await openWorld({ folder: dir.path, workers: 0 });
      if (life === 0) ({ id } = await world.queue.add({ name: "deadly" }));
      await world.jobs.start();
      await world.store.claimJob(["told"], world.clock.now());
    }
    await using last = await openWorld({ folder: dir.path });
    await last.jobs.start();
    expect(await last.jobs.get(id)).toMatchObject({ state: "failed", error: { code: "internal" } });
    expect(last.tries).toEqual([]);
  });
});

test("old jobs are removed with their errors, the newest thousands and those that have not ended stay", async () => {
  await using world = await newWorld({ workers: 1 });
  const { id } = await world.queue.add({ name: "old" });
  const one = await world.tried(0);
  const error = { source: "f", line: 1, code: "invalid_request", message: "wrong" } as const;
  one.context.report({ done: 1, errors: [error] });
  one.end();
  await stateOf(world, id, "succeeded");
  world.clock.pass(limits.jobsFinishedMs);
  const waiting = await world.queue.add({ name: "new" });
  const young = await world.tried(1);
  world.clock.pass(2 * 60 * 60_000);
  await eventually("the old one is gone", async () =>
    (await world.store.job(id)) === undefined ? true : undefined,
  );
  expect(await world.store.jobErrors(id, { after: 0, limit: 10 })).toEqual([]);
  expect((await world.jobs.get(waiting.id)).state).toBe("running");
  young.end();
  await stateOf(world, waiting.id, "succeeded");
});
