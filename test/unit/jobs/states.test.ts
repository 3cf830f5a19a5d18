import { expect, test } from "bun:test";
import { isFinal, requireMove } from "../../../src/jobs/states.ts";
import type { JobState } from "../../../src/store/job-store.ts";
import { problemOf } from "../problems/problem-of.ts";

const STATES: readonly JobState[] = ["queued", "running", "succeeded", "failed", "cancelled"];

const ALLOWED = [
  "queued -> running",
  "queued -> cancelled",
  "running -> succeeded",
  "running -> failed",
  "running -> cancelled",
  "running -> queued",
];

test("a job moves along its states, and every other move is refused with job_state", async () => {
  const allowed: string[] = [];
  for (const from of STATES) {
    for (const to of STATES) {
      const name = `${from} -> ${to}`;
      if (ALLOWED.includes(name)) {
        requireMove(from, to);
        allowed.push(name);
      } else expect((await problemOf(() => requireMove(from, to))).code).toBe("job_state");
    }
  }
  expect(allowed.toSorted()).toEqual(ALLOWED.toSorted());
});

test("what has succeeded, failed or been cancelled stays so", () => {
  expect(STATES.filter(isFinal)).toEqual(["succeeded", "failed", "cancelled"]);
});
