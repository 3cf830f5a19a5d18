import { Problem } from "../problems.ts";
import type { JobState } from "../store/job-store.ts";

/** Where a job may go from each state. */
const MOVES: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ["running", "cancelled"],
  // Back to the queue: to be tried again, or because the server stops.
  running: ["succeeded", "failed", "cancelled", "queued"],
  succeeded: [],
  failed: [],
  cancelled: [],
};

/** True for a state that a job never leaves. */
export function isFinal(state: JobState): boolean {
  return MOVES[state].length === 0;
}

/** @throws Problem `job_state` where a job in the one state cannot come to the other */
export function requireMove(from: JobState, to: JobState): void {
  if (MOVES[from].includes(to)) return;
  throw new Problem("job_state", `The job is ${from}, and from there it cannot become ${to}.`);
}
