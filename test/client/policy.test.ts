import { expect, test } from "bun:test";
import { attemptsAfter, backoffMs, nextStep } from "../../client/src/policy.ts";

const highest = () => 1 - Number.EPSILON;
const half = () => 0.5;

test("the wait before a try is anywhere from nothing to half a second, doubled each time, up to 20 s", () => {
  expect([0, 1, 2, 5, 6, 60].map((attempt) => backoffMs(attempt, () => 0))).toEqual([
    0, 0, 0, 0, 0, 0,
  ]);
  expect([0, 1, 2, 5, 6, 60].map((attempt) => Math.round(backoffMs(attempt, highest)))).toEqual([
    500, 1000, 2000, 16_000, 20_000, 20_000,
  ]);
});

test("a connection that held for ten seconds makes the next wait short again", () => {
  expect(attemptsAfter(7, 9999)).toBe(7);
  expect(attemptsAfter(7, 10_000)).toBe(0);
});

test("codes after which the same client would fail again are final", () => {
  for (const code of [1000, 1002, 1003, 1007, 1008, 1010, 4500, 4501, 4503, 4504, 4999]) {
    expect(nextStep({ code, attempt: 0 }, half)).toEqual({ kind: "closed" });
  }
});

test("lost, restarted, full, stale, slow and unknown own codes reconnect by the backoff", () => {
  for (const code of [1001, 1005, 1006, 1009, 1011, 1012, 1013, 4000, 4001, 4321]) {
    expect(nextStep({ code, attempt: 1 }, half)).toEqual({
      kind: "reconnect",
      delayMs: 500,
      newToken: false,
      demanded: false,
    });
  }
});

test("an expired token is replaced first", () => {
  expect(nextStep({ code: 4002, attempt: 0 }, half)).toMatchObject({ newToken: true });
});

test("a client that asked for too much stays away for half a minute at least", () => {
  const step = nextStep({ code: 4003, attempt: 0 }, () => 0);
  expect(step).toEqual({ kind: "reconnect", delayMs: 30_000, newToken: false, demanded: true });
});

test("a draining server's hint is the first wait, within reason", () => {
  expect(nextStep({ code: 1001, attempt: 9, hintMs: 1234 }, half)).toMatchObject({ delayMs: 1234 });
  expect(nextStep({ code: 1001, attempt: 0, hintMs: 1e9 }, half)).toMatchObject({
    delayMs: 60_000,
  });
  expect(nextStep({ code: 1001, attempt: 0, hintMs: -5 }, half)).toMatchObject({ delayMs: 0 });
});
