import { describe, expect, jest, test } from "bun:test";
import type { EngineStart } from "../../../src/boot/engine-child.ts";
import { openEmbedder } from "../../../src/embedding/open-embedder.ts";
import { BackgroundPool } from "../../../src/engine/background-pool.ts";
import { ENGINE_COMMAND } from "../../../src/engine/child-command.ts";
import { limits } from "../../../src/limits.ts";
import { canListChildren, childrenOf, onlyChildOf } from "../../support/child-processes.ts";
import { eventually } from "../../support/process.ts";
import { problemOf } from "../problems/problem-of.ts";
import { engineConfig, timeout } from "./engine-config.ts";

const MODEL = "static-256";
const START: EngineStart = { config: engineConfig("/nowhere"), number: undefined };

const children = (): number[] => childrenOf(ENGINE_COMMAND);
const onlyChild = (): number => onlyChildOf(ENGINE_COMMAND);

type Vectors = (Float32Array | undefined)[];

/** A pool that embeds, for which alone it is there. */
function openPool(count = 1) {
  const pool = new BackgroundPool({ count, start: START });
  return {
    pool,
    embed: (texts: readonly string[], model = MODEL) =>
      pool.call<Vectors>("embed", { model, texts }),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

// The processes of a pool are found with ps.
describe.skipIf(!canListChildren)("BackgroundPool", () => {
  test("gives one vector per text, in order, the same as in this process", async () => {
    await using pool = openPool(2);
    await using embedder = await openEmbedder(MODEL);
    const batches = Array.from({ length: 6 }, (_, batch) =>
      Array.from({ length: 5 }, (__, index) => `batch ${batch} text ${index}`),
    );
    batches.push(["the flag", "", "the flag"]);
    const answers = await Promise.all(batches.map((batch) => pool.embed(batch)));
    for (const [index, batch] of batches.entries())
      expect(answers[index]).toEqual(await embedder.embed(batch));
    expect(answers[6]?.[1]).toBeUndefined();
    expect(children().length).toBeWithin(1, 3);
  });

  test("starts no process before there is work, and ends them all", async () => {
    {
      await using pool = openPool(2);
      expect(children()).toEqual([]);
      await pool.embed(["text"]);
      expect(children()).toHaveLength(1);
    }
    expect(children()).toEqual([]);
  });

  test("ends a child that has had nothing to do for a while, and starts one again for new work", async () => {
    await using pool = openPool();
    await pool.embed(["text"]);
    jest.useFakeTimers();
    try {
      await pool.embed(["text"]);
      const pid = onlyChild();
      jest.advanceTimersByTime(19_000);
      expect(children()).toEqual([pid]);
      jest.advanceTimersByTime(2_000);
    } finally {
      jest.useRealTimers();
    }
    await eventually("the child is gone", () => children().length === 0 || undefined);
    expect((await pool.embed(["text"]))[0]).toHaveLength(256);
  });

  test("fails the call of a child that is killed, and goes on with another", async () => {
    await using pool = openPool();
    await pool.embed(["text"]);
    const pid = onlyChild();
    // Stopped, it has its call and cannot answer.
    process.kill(pid, "SIGSTOP");
    const lost = pool.embed(["lost"]);
    const waiting = pool.embed(["waiting"]);
    process.kill(pid, "SIGKILL");
    const problem = await problemOf(() => lost);
    expect(problem.code).toBe("embedding_failed");
    expect(problem.detail).not.toContain("signal");
    expect(String(problem.cause)).toContain("signal");
    expect((await waiting)[0]).toHaveLength(256);
    expect(onlyChild()).not.toBe(pid);
  });

  test("fails the call of a child that hangs, once it has had more than its time", async () => {
    await using pool = openPool();
    await pool.embed(["text"]);
    const pid = onlyChild();
    process.kill(pid, "SIGSTOP");
    jest.useFakeTimers();
    let lost: Promise<Vectors>;
    try {
      lost = pool.embed(["lost"]);
      jest.advanceTimersByTime(limits.backgroundCallMsMax + 1);
    } finally {
      jest.useRealTimers();
    }
    expect((await problemOf(() => lost)).code).toBe("embedding_failed");
    expect((await pool.embed(["text"]))[0]).toHaveLength(256);
  });

  test("goes on after a child died that had nothing to do", async () => {
    await using pool = openPool();
    await pool.embed(["text"]);
    process.kill(onlyChild(), "SIGKILL");
    // Whether its death is known by then or not: this one may be lost, and the next may not.
    await pool.embed(["perhaps lost"]).catch(() => undefined);
    expect((await pool.embed(["text"]))[0]).toHaveLength(256);
  });

  test("tells what a call itself has thrown, as it would be told here, and goes on", async () => {
    await using pool = openPool();
    const problem = await problemOf(() => pool.embed(["text"], "gpt-9"));
    expect(problem.code).toBe("unknown_model");
    const fault = await pool.pool.call("dance", {}).catch((reason: unknown) => reason);
    expect(String(fault)).toContain("no call named dance");
    expect((await pool.embed(["text"]))[0]).toHaveLength(256);
    expect(children()).toHaveLength(1);
  });

  test("refuses more calls than may wait, and fails those that wait when it is closed", async () => {
    const pool = openPool();
    await pool.embed(["text"]);
    process.kill(onlyChild(), "SIGSTOP");
    // One is with the child, the others wait.
    const calls = Array.from({ length: limits.backgroundCallsQueuedMax + 1 }, () =>
      pool.embed(["text"]),
    );
    const outcomes = Promise.allSettled(calls);
    const refused = await problemOf(() => pool.embed(["one too many"]));
    expect(refused.code).toBe("busy");
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    process.kill(onlyChild(), "SIGCONT");
    await pool[Symbol.asyncDispose]();
    const rejected = (await outcomes).filter((one) => one.status === "rejected");
    expect(rejected.length).toBeGreaterThanOrEqual(limits.backgroundCallsQueuedMax);
    for (const { reason } of rejected) expect(reason).toHaveProperty("code", "embedding_failed");
    expect(children()).toEqual([]);
  });

  test("closes in time though its child hangs", async () => {
    const pool = openPool();
    await pool.embed(["text"]);
    const pid = onlyChild();
    process.kill(pid, "SIGSTOP");
    const lost = pool.embed(["lost"]).catch((reason: unknown) => reason);
    try {
      await Promise.race([pool[Symbol.asyncDispose](), timeout(1000)]);
      expect(await lost).toHaveProperty("code", "embedding_failed");
    } finally {
      // Else a child that is only stopped would outlive the tests.
      if (children().includes(pid)) process.kill(pid, "SIGKILL");
    }
  });

  test("refuses a call that comes after it was closed", async () => {
    const pool = openPool();
    await pool[Symbol.asyncDispose]();
    const late = () => Promise.race([pool.embed(["late"]), timeout(500)]);
    expect((await problemOf(late)).code).toBe("embedding_failed");
  });
});
