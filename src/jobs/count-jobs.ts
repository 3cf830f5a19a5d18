import type { JobRow, JobState } from "../store/job-store.ts";
import { getBusinessMetrics } from "../telemetry/metrics.ts";
import { isFinal } from "./states.ts";

/** Counts what becomes of jobs in the instruments of the program. */
export function createJobCounts() {
  const counts = getBusinessMetrics();
  let active = 0;
  let ended = false;
  const setActive = (next: number): void => {
    if (ended) return;
    counts.active_jobs.add(next - active, {});
    active = next;
  };
  return {
    /** Takes over what waits and runs from an earlier life. */
    setActive,
    /** At the end of this life none is counted as active, and what ends later changes nothing in that. */
    end(): void {
      setActive(0);
      ended = true;
    },
    created({ collection, priority }: JobRow): void {
      counts.jobs_created_total.add(1, { collection: collection ?? "", priority });
      setActive(active + 1);
    },
    moved(from: JobState, job: JobRow): void {
      const { state, collection, startedAtMs, finishedAtMs } = job;
      counts.job_status_transitions_total.add(1, { from, to: state });
      if (!isFinal(state)) return;
      setActive(active - 1);
      counts.jobs_completed_total.add(1, { collection: collection ?? "", outcome: state });
      if (startedAtMs === null || finishedAtMs === null) return;
      const seconds = (finishedAtMs - startedAtMs) / 1000;
      counts.job_duration_seconds.record(seconds, { outcome: state });
    },
    runFinished(collection: string, documents: number): void {
      counts.ingest_run_velocity.record(documents, { collection });
    },
  };
}
