import { describe, expect, test } from "bun:test";
import { assert, Problem, PROBLEMS } from "../../../src/problems.ts";

/** Refusals of the request whose reason passes by itself. */
const PASSING = new Set(["idempotency_in_flight", "rate_limited"]);

describe("the catalogue of problems", () => {
  test("has a snake_case code, a failure's status and a title of its own for each", () => {
    const entries = Object.entries(PROBLEMS);
    for (const [code, { status, title }] of entries) {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(status).toBeWithin(400, 600);
      expect(title).toMatch(/^[A-Z].*[^.]$/);
    }
    expect(new Set(entries.map(([, { title }]) => title)).size).toBe(entries.length);
  });

  test("says that trying again helps only where the state of the server is the reason", () => {
    for (const [code, { status, retry }] of Object.entries(PROBLEMS)) {
      if (status < 500) expect([code, retry]).toEqual([code, PASSING.has(code)]);
      if (status > 500) expect([code, retry]).toEqual([code, true]);
    }
  });
});

describe("Problem", () => {
  test("keeps code, detail, fields and cause", () => {
    const cause = new Error("disk");
    const errors = [{ field: "/k", message: "must be a number" }];
    const problem = new Problem("busy", "Too much.", { cause, errors, retryAfterMs: 20 });
    expect(problem).toMatchObject({ code: "busy", detail: "Too much.", errors, retryAfterMs: 20 });
    expect(problem.cause).toBe(cause);
    expect(String(problem)).toBe("Problem: busy: Too much.");
  });

  test("has no fields and no time to wait unless they are given", () => {
    const problem = new Problem("internal", "x");
    expect(problem.errors).toEqual([]);
    expect(problem.retryAfterMs).toBeUndefined();
    expect(problem.cause).toBeUndefined();
  });
});

test("assert throws an error that is no problem, so that callers see only 500", () => {
  expect(() => assert(true, "fine")).not.toThrow();
  let error: unknown;
  try {
    assert(0, "zero is not true");
  } catch (reason) {
    error = reason;
  }
  expect(error).not.toBeInstanceOf(Problem);
  expect(String(error)).toBe("Error: assertion failed: zero is not true");
});
