import { describe, expect, test } from "bun:test";
import { openEmbedder } from "../../../src/embedding/open-embedder.ts";
import { EMBEDDING_CHILD_COMMAND } from "../../../src/engine/child-command.ts";
import { ChildPool } from "../../../src/engine/child-pool.ts";
import { limits } from "../../../src/limits.ts";
import { canListChildren, childrenOf, onlyChildOf } from "../../support/child-processes.ts";
import { problemOf } from "../problems/problem-of.ts";

const MODEL = "static-256";

const children = (): number[] => childrenOf(EMBEDDING_CHILD_COMMAND);
const onlyChild = (): number => onlyChildOf(EMBEDDING_CHILD_COMMAND);

// The processes of a pool are found with ps.
describe.skipIf(!canListChildren)("ChildPool", () => {
  test("gives one vector per text, in order, the same as in this process", async () => {
    await using pool = new ChildPool(2);
    await using embedder = await openEmbedder(MODEL);
    const batches = Array.from({ length: 6 }, (_, batch) =>
      Array.from({ length: 5 }, (__, index) => `batch ${batch} text ${index}`),
    );
    batches.push(["the flag", "", "the flag"]);
    const answers = await Promise.all(batches.map((batch) => pool.embed(MODEL, batch)));
    for (const [index, batch] of batches.entries())
      expect(answers[index]).toEqual(await embedder.embed(batch));
    expect(answers[6]?.[1]).toBeUndefined();
    expect(children().length).toBeWithin(1, 3);
  });

  test("starts no process before there is work, and ends them all", async () => {
    {
      await using pool = new ChildPool(2);
      expect(children()).toEqual([]);
      await pool.embed(MODEL, ["text"]);
      expect(children()).toHaveLength(1);
    }
    expect(children()).toEqual([]);
  });

  test("fails the batch of a child that is killed, and goes on with another", async () => {
    await using pool = new ChildPool(1);
    await pool.embed(MODEL, ["text"]);
    const pid = onlyChild();
    // Stopped, it has its batch and cannot answer.
    process.kill(pid, "SIGSTOP");
    const lost = pool.embed(MODEL, ["lost"]);
    const waiting = pool.embed(MODEL, ["waiting"]);
    process.kill(pid, "SIGKILL");
    const problem = await problemOf(() => lost);
    expect(problem.code).toBe("embedding_failed");
    expect(problem.detail).not.toContain("signal");
    expect(String(problem.cause)).toContain("signal");
    expect((await waiting)[0]).toHaveLength(256);
    expect(onlyChild()).not.toBe(pid);
  });

  test("goes on after a child died that had nothing to do", async () => {
    await using pool = new ChildPool(1);
    await pool.embed(MODEL, ["text"]);
    process.kill(onlyChild(), "SIGKILL");
    // Whether its death is known by then or not: this one may be lost, and the next may not.
    await pool.embed(MODEL, ["perhaps lost"]).catch(() => undefined);
    expect((await pool.embed(MODEL, ["text"]))[0]).toHaveLength(256);
  });

  test("fails a batch for a model that is not there, and goes on", async () => {
    await using pool = new ChildPool(1);
    const problem = await problemOf(() => pool.embed("gpt-9", ["text"]));
    expect(problem.code).toBe("embedding_failed");
    expect(String(problem.cause)).toContain("unknown_model");
    expect((await pool.embed(MODEL, ["text"]))[0]).toHaveLength(256);
  });

  test("refuses more batches than may wait, and fails those that wait when it is closed", async () => {
    const pool = new ChildPool(1);
    await pool.embed(MODEL, ["text"]);
    process.kill(onlyChild(), "SIGSTOP");
    // One is with the child, the others wait.
    const batches = Array.from({ length: limits.embeddingBatchesQueuedMax + 1 }, () =>
      pool.embed(MODEL, ["text"]),
    );
    const outcomes = Promise.allSettled(batches);
    const refused = await problemOf(() => pool.embed(MODEL, ["one too many"]));
    expect(refused.code).toBe("busy");
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    process.kill(onlyChild(), "SIGCONT");
    await pool[Symbol.asyncDispose]();
    const rejected = (await outcomes).filter((one) => one.status === "rejected");
    expect(rejected.length).toBeGreaterThanOrEqual(limits.embeddingBatchesQueuedMax);
    for (const { reason } of rejected) expect(reason).toHaveProperty("code", "embedding_failed");
    expect(children()).toEqual([]);
  });

  test("closes in time though its child hangs", async () => {
    const pool = new ChildPool(1);
    await pool.embed(MODEL, ["text"]);
    const pid = onlyChild();
    process.kill(pid, "SIGSTOP");
    const lost = pool.embed(MODEL, ["lost"]).catch((reason: unknown) => reason);
    try {
      await Promise.race([pool[Symbol.asyncDispose](), timeout(1000)]);
      expect(await lost).toHaveProperty("code", "embedding_failed");
    } finally {
      // Else a child that is only stopped would outlive the tests.
      if (children().includes(pid)) process.kill(pid, "SIGKILL");
    }
  });

  test("refuses a batch that comes after it was closed", async () => {
    const pool = new ChildPool(1);
    await pool[Symbol.asyncDispose]();
    const late = () => Promise.race([pool.embed(MODEL, ["late"]), timeout(500)]);
    expect((await problemOf(late)).code).toBe("embedding_failed");
  });
});

/** Rejects after that time. */
async function timeout(ms: number): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  setTimeout(() => reject(new Error(`nothing happened in ${ms} ms`)), ms);
  return promise;
}
