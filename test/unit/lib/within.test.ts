import { expect, test } from "bun:test";
import { endsWithin, valueWithin } from "../../../src/lib/within.ts";

test("work that comes in time gives its value or its failure, and any other nothing", async () => {
  const late = Promise.withResolvers<string>();
  expect(await valueWithin(1000, Promise.resolve("soon"))).toBe("soon");
  expect(valueWithin(1000, Promise.reject(new Error("bad")))).rejects.toThrow("bad");
  expect(await valueWithin(1, late.promise)).toBeUndefined();
  // Nobody waits for it any more, so that its failure is nobody's to hear.
  late.reject(new Error("late"));
});

test("work has ended in time however it ended", async () => {
  const never = Promise.withResolvers<void>();
  expect(await endsWithin(1000, Promise.resolve())).toBe(true);
  expect(await endsWithin(1000, Promise.reject(new Error("bad")))).toBe(true);
  expect(await endsWithin(1, never.promise)).toBe(false);
});
