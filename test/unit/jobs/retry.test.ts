import { describe, expect, test } from "bun:test";
import { failureOf, RETRY_DEFAULT, retryDelayMs } from "../../../src/jobs/retry.ts";
import { Problem } from "../../../src/problems.ts";

describe("the time before another try", () => {
  test("doubles each time, up to the longest", () => {
    const delays = [1, 2, 3, 4, 20].map((attempt) =>
      retryDelayMs(RETRY_DEFAULT, { attempt, random: 1 }),
    );
    expect(delays).toEqual([1000, 2000, 4000, 8000, 300_000]);
  });

  test("is between half of it and all of it, as chance has it", () => {
    expect(retryDelayMs(RETRY_DEFAULT, { attempt: 3, random: 0 })).toBe(2000);
    expect(retryDelayMs(RETRY_DEFAULT, { attempt: 3, random: 0.5 })).toBe(3000);
  });

  test("is at least what whoever refused asked for", () => {
    expect(retryDelayMs(RETRY_DEFAULT, { attempt: 1, random: 0, atLeastMs: 7000 })).toBe(7000);
  });
});

describe("a failure", () => {
  test("is tried again where the catalogue says that it may succeed", () => {
    expect(failureOf(new Problem("storage_full", "No room.", { retryAfterMs: 50 }))).toEqual({
      failure: { code: "storage_full", detail: "No room." },
      retry: true,
      retryAfterMs: 50,
    });
    expect(failureOf(new Problem("collection_not_found", "Gone.")).retry).toBe(false);
  });

  test("that is our own is tried again and does not tell what is in the log", () => {
    const { failure, retry } = failureOf(new Error("secret"));
    expect(retry).toBe(true);
    expect(failure.code).toBe("internal");
    expect(failure.detail).not.toContain("secret");
  });
});
