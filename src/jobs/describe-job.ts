import { isObject } from "../lib/is-object.ts";
import type { IngestRun, JobDescription } from "../contract/jobs.ts";
import type { IngestRunRow, JobRow } from "../store/job-store.ts";

/** A job as callers see it. */
export function describeJob(job: JobRow, timeLeftMs: number | null = null): JobDescription {
  const isWaiting = job.state === "queued";
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    priority: job.priority,
    collection: job.collection,
    progress: { done: job.done, total: job.total, unit: job.unit },
    time_left_ms: timeLeftMs,
    attempts: job.attempts,
    attempts_max: job.attemptsMax,
    next_attempt_at: isWaiting ? time(job.nextAtMs) : null,
    cancelling: job.cancelling,
    error: job.failure,
    errors: job.errors,
    result: isObject(job.result) ? job.result : null,
    run_id: job.runId,
    request_id: job.requestId,
    created_at: time(job.createdAtMs),
    started_at: timeOrNull(job.startedAtMs),
    finished_at: timeOrNull(job.finishedAtMs),
  };
}

/** A run as callers see it. `nowMs` is the end of one that is still running. */
export function describeRun(run: IngestRunRow, nowMs: number): IngestRun {
  const { id, collection, jobs, documents, errors, startedAtMs, finishedAtMs } = run;
  const seconds = startedAtMs === null ? 0 : ((finishedAtMs ?? nowMs) - startedAtMs) / 1000;
  return {
    id,
    collection,
    state: finishedAtMs === null ? "running" : "finished",
    jobs,
    documents,
    errors,
    documents_per_second: seconds > 0 ? Math.round((documents / seconds) * 10) / 10 : null,
    created_at: time(run.createdAtMs),
    started_at: timeOrNull(startedAtMs),
    finished_at: timeOrNull(finishedAtMs),
  };
}

function time(atMs: number): string {
  return new Date(atMs).toISOString();
}

function timeOrNull(atMs: number | null): string | null {
  return atMs === null ? null : time(atMs);
}
