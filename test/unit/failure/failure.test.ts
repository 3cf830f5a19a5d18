import { describe, expect, test } from "bun:test";
import { fromFailure, toFailure } from "../../../src/failure.ts";
import { Problem } from "../../../src/problems.ts";

const sent = (error: unknown): Error => fromFailure(structuredClone(toFailure(error)));

describe("an error that goes to another process", () => {
  test("arrives as the same problem", () => {
    const errors = [{ field: "/k", message: "must be at most 1000" }];
    const cause = new RangeError("too far");
    const arrived = sent(
      new Problem("engine_lost", "It is gone.", { errors, retryAfterMs: 7, cause }),
    );
    expect(arrived).toBeInstanceOf(Problem);
    expect(arrived).toMatchObject({
      code: "engine_lost",
      detail: "It is gone.",
      errors,
      retryAfterMs: 7,
    });
    expect(String(arrived.cause)).toContain("too far");
  });

  test("keeps its message and the stack of where it was thrown", () => {
    const error = new TypeError("no such thing");
    const arrived = sent(error);
    expect(arrived).not.toBeInstanceOf(Problem);
    expect(arrived.message).toBe("no such thing");
    expect(arrived.stack).toBe(error.stack ?? "");
  });

  test("may be anything that was thrown", () => {
    expect(sent("a word").message).toBe("a word");
    expect(sent(new Problem("busy", "Later.")).cause).toBeUndefined();
  });
});
