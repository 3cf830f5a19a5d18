import type { Clock } from "../../../src/rooms/clock.ts";

/** A clock that stands still until it is told to go on. */
export interface FakeClock extends Clock {
  /** Lets that many milliseconds pass; what was to be called meanwhile is called in its order. */
  pass(ms: number): void;
  /** Calls that wait. */
  readonly waiting: number;
}

export function fakeClock(start = Date.parse("2026-01-01T00:00:00Z")): FakeClock {
  let now = start;
  const calls = new Map<symbol, { dueMs: number; run: () => void }>();
  const next = (until: number) =>
    [...calls.entries()]
      .filter(([, { dueMs }]) => dueMs <= until)
      .toSorted(([, left], [, right]) => left.dueMs - right.dueMs)[0];
  return {
    now: () => now,
    get waiting() {
      return calls.size;
    },
    after(ms, run) {
      const id = Symbol("call");
      calls.set(id, { dueMs: now + ms, run });
      return () => void calls.delete(id);
    },
    pass(ms) {
      const until = now + ms;
      for (let due = next(until); due !== undefined; due = next(until)) {
        const [id, { dueMs, run }] = due;
        now = dueMs;
        calls.delete(id);
        run();
      }
      now = until;
    },
  };
}
