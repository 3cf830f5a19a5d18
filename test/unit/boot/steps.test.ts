import { describe, expect, test } from "bun:test";
import { closing, inTime } from "../../../src/boot/steps.ts";
import { PROBLEMS } from "../../../src/problems.ts";
import { problemOf } from "../problems/problem-of.ts";

describe("a step of the start", () => {
  test("gives what it opened, or fails as it failed", async () => {
    expect(await inTime("store", Promise.resolve(7), { limitMs: 1000 })).toBe(7);
    expect(await inTime("app", Promise.resolve(undefined), { limitMs: 1000 })).toBeUndefined();
    const failed = inTime("store", Promise.reject(new Error("no disk")), { limitMs: 1000 });
    expect(failed).rejects.toThrow("no disk");
  });

  test("that takes too long ends the start with a sentence and exit code 1, and is closed when it comes", async () => {
    const opened = Promise.withResolvers<AsyncDisposable>();
    const closed = Promise.withResolvers<void>();
    const problem = await problemOf(() => inTime("store", opened.promise, { limitMs: 5 }));
    expect(problem.code).toBe("start_timeout");
    expect(problem.detail).toContain('"store"');
    expect(problem.detail).toContain("STARTUP_TIMEOUT");
    expect(PROBLEMS.start_timeout.exit).toBe(1);
    opened.resolve({ [Symbol.asyncDispose]: async () => closed.resolve() });
    await closed.promise;
  });
});

test("parts are closed in the opposite order, and a failure of one is told", async () => {
  const order: string[] = [];
  const part = (name: string): AsyncDisposable => ({
    async [Symbol.asyncDispose]() {
      await new Promise(setImmediate);
      order.push(name);
      if (name === "engines") throw new Error("engines");
    },
  });
  const stack = new AsyncDisposableStack();
  for (const name of ["store", "engines", "jobs"]) closing(stack, name, part(name));
  const failure: unknown = await stack.disposeAsync().catch((error: unknown) => error);
  expect(failure).toEqual(new Error("engines"));
  expect(order).toEqual(["jobs", "engines", "store"]);
});
