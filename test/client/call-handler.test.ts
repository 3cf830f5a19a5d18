import { expect, test } from "bun:test";
import { callHandler } from "../../client/src/call-handler.ts";

test("what a handler throws comes up later, and not where it was called", () => {
  const later: (() => void)[] = [];
  callHandler(
    () => {
      throw new Error("the page's own");
    },
    (work) => later.push(work),
  );
  expect(later).toHaveLength(1);
  expect(() => later[0]?.()).toThrow("the page's own");
});

test("a handler that throws nothing is called once, and nothing comes later", () => {
  let calls = 0;
  const later: unknown[] = [];
  callHandler(
    () => void calls++,
    (work) => later.push(work),
  );
  expect([calls, later]).toEqual([1, []]);
});
