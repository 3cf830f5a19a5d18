import { limits } from "../../limits.ts";
import { Problem } from "../../problems.ts";
import type { JobMove, JobProgress, JobRow, NewJob } from "../job-store.ts";
import {
  JOB_COLUMNS,
  PRIORITIES,
  toJobRow,
  type JobReadSql,
  type StoredJob,
} from "./job-read-sql.ts";
import type { Connection } from "./open-database.ts";

type Values = (string | number | null)[];

/** Jobs removed in one transaction, each with its errors. */
const PRUNE_SLICE = 100;

/** The SQL that writes jobs. Every function is called inside a transaction. */
export function jobWriteSql(connection: Connection, read: JobReadSql) {
  const { keep } = connection;
  const saveProgress = jobProgressSql(connection);
  const runs = ingestRunSql(connection, read);
  const insert = keep<StoredJob, Values>(
    `INSERT INTO jobs (id, kind, collection, state, priority, payload, total, unit, attempts_max, next_at_ms, request_id,
       traceparent, run_id, created_at_ms)
     VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7, ?8, ?12, ?9, ?10, ?11, ?12) RETURNING ${JOB_COLUMNS}`,
  );
  const claim = keep<StoredJob, Values>(
    `UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at_ms = coalesce(started_at_ms, ?2)
     WHERE number = (SELECT number FROM jobs WHERE state = 'queued' AND next_at_ms <= ?2
         AND kind IN (SELECT value FROM json_each(?1)) ORDER BY priority DESC, next_at_ms, number LIMIT 1)
     RETURNING ${JOB_COLUMNS}`,
  );
  const mark = keep<StoredJob, [string]>(
    `UPDATE jobs SET cancelling = 1 WHERE id = ? AND state = 'running' RETURNING ${JOB_COLUMNS}`,
  );
  return {
    add(job: NewJob, atMs: number): JobRow {
      if (read.jobCounts().queued >= limits.jobsQueuedMax) {
        throw new Problem("busy", `${limits.jobsQueuedMax} jobs wait already.`, {
          retryAfterMs: 10_000,
        });
      }
      runs.join(job, atMs);
      const { id, kind, collection, total, unit, attemptsMax, requestId, traceparent, runId } = job;
      const priority = PRIORITIES.indexOf(job.priority);
      const payload = JSON.stringify(job.payload);
      const head: Values = [id, kind, collection, priority, payload, total, unit, attemptsMax];
      const added = insert.get(...head, requestId, traceparent, runId, atMs);
      if (added === null) throw new Error("an insert gives its row");
      return toJobRow(added);
    },
    claim: (kinds: readonly string[], nowMs: number): JobRow | undefined =>
      rowOf(claim.get(JSON.stringify(kinds), nowMs)),
    save: saveProgress,
    move: jobMoveSql(connection, saveProgress),
    markCancelling: (id: string): JobRow | undefined => rowOf(mark.get(id)),
    recover: jobRecoverSql(connection),
    prune: jobPruneSql(connection),
  };
}

export type JobWriteSql = ReturnType<typeof jobWriteSql>;

function rowOf(stored: StoredJob | null): JobRow | undefined {
  return stored === null ? undefined : toJobRow(stored);
}

function jobProgressSql({ keep }: Connection) {
  const running = keep<{ number: number }, [string]>(
    "SELECT number FROM jobs WHERE id = ? AND state = 'running'",
  );
  // A checkpoint that moved makes the next failure the first one again.
  const update = keep<unknown, Values>(
    `UPDATE jobs SET done = ?2, total = ?3, errors = ?4, checkpoint = coalesce(?5, checkpoint),
       attempts = iif(?5 IS NULL OR ?5 IS checkpoint, attempts, 1) WHERE number = ?1`,
  );
  const insert = keep<unknown, Values>(
    `INSERT INTO job_errors (job_number, number, source, line, code, message)
     VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM job_errors WHERE job_number = ?1), ?2, ?3, ?4, ?5)`,
  );
  const kept = keep<{ count: number }, [number]>(
    "SELECT count(*) AS count FROM job_errors WHERE job_number = ?",
  );
  return (id: string, { done, total, checkpoint, newErrors, errors }: JobProgress): void => {
    const job = running.get(id);
    if (job === null) return;
    const text = checkpoint === undefined ? null : JSON.stringify(checkpoint);
    update.run(job.number, done, total, errors, text);
    if (newErrors.length === 0) return;
    const room = limits.jobErrorsMax - (kept.get(job.number)?.count ?? 0);
    for (const { source, line, code, message } of newErrors.slice(0, Math.max(0, room))) {
      insert.run(job.number, source, line, code, message);
    }
  };
}

function jobMoveSql({ keep }: Connection, save: (id: string, progress: JobProgress) => void) {
  const finish = keep<StoredJob, Values>(
    `UPDATE jobs SET state = ?2, finished_at_ms = ?3, result = ?4, error_code = ?5, error_detail = ?6, cancelling = 0
     WHERE id = ?1 AND state = ?7 RETURNING ${JOB_COLUMNS}`,
  );
  const again = keep<StoredJob, Values>(
    `UPDATE jobs SET state = iif(cancelling = 1, 'cancelled', 'queued'), cancelling = 0,
       finished_at_ms = iif(cancelling = 1, ?5, NULL), next_at_ms = ?2, error_code = ?3, error_detail = ?4,
       attempts = iif(?3 IS NULL, attempts - 1, attempts)
     WHERE id = ?1 AND state = 'running' RETURNING ${JOB_COLUMNS}`,
  );
  return (id: string, move: JobMove): JobRow | undefined => {
    if (move.from === "running") save(id, move.progress);
    const failure = "failure" in move ? move.failure : null;
    const why = [failure?.code ?? null, failure?.detail ?? null] as const;
    const result = move.to === "succeeded" ? JSON.stringify(move.result ?? null) : null;
    const moved =
      move.to === "queued"
        ? again.get(id, move.nextAtMs, ...why, move.atMs)
        : finish.get(id, move.to, move.atMs, result, ...why, move.from);
    return rowOf(moved);
  };
}

function jobRecoverSql({ keep }: Connection) {
  const cancelled = keep<StoredJob, [number]>(
    `UPDATE jobs SET state = 'cancelled', finished_at_ms = ?, cancelling = 0
     WHERE state = 'running' AND cancelling = 1 RETURNING ${JOB_COLUMNS}`,
  );
  const failed = keep<StoredJob, Values>(
    `UPDATE jobs SET state = 'failed', finished_at_ms = ?, error_code = ?, error_detail = ?
     WHERE state = 'running' AND attempts >= attempts_max RETURNING ${JOB_COLUMNS}`,
  );
  const queued = keep<StoredJob, [number]>(
    `UPDATE jobs SET state = 'queued', next_at_ms = ? WHERE state = 'running' RETURNING ${JOB_COLUMNS}`,
  );
  return (nowMs: number): JobRow[] => {
    const stopped = cancelled.all(nowMs);
    const lost = failed.all(
      nowMs,
      "internal",
      "The server ended each time while the job ran, and it got no further.",
    );
    return [...stopped, ...lost, ...queued.all(nowMs)].map(toJobRow);
  };
}

function jobPruneSql({ keep }: Connection) {
  const remove = keep<unknown, Values>(
    `DELETE FROM jobs WHERE number IN (
       SELECT number FROM jobs WHERE finished_at_ms IS NOT NULL AND (finished_at_ms < ?1 OR number <= (
         SELECT number FROM jobs WHERE finished_at_ms IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?2))
       ORDER BY finished_at_ms LIMIT ${PRUNE_SLICE})`,
  );
  const removeRuns = keep<unknown, []>(
    "DELETE FROM ingest_runs WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE run_id = ingest_runs.id)",
  );
  return ({ finishedBeforeMs, keep: kept }: { finishedBeforeMs: number; keep: number }): number => {
    const { changes } = remove.run(finishedBeforeMs, kept);
    if (changes > 0) removeRuns.run();
    return changes;
  };
}

function ingestRunSql({ keep }: Connection, read: Pick<JobReadSql, "ingestRun">) {
  const insert = keep<unknown, [string, string, number]>(
    "INSERT INTO ingest_runs (id, collection, created_at_ms) VALUES (?, ?, ?)",
  );
  return {
    /** Makes the job's run where it is not there. @throws Problem `job_state` */
    join({ runId, collection }: NewJob, atMs: number): void {
      if (runId === null || collection === null) return;
      const run = read.ingestRun(runId);
      if (run === undefined) insert.run(runId, collection, atMs);
      else if (run.finishedAtMs !== null) {
        throw new Problem("job_state", "The ingest run is finished and takes no further files.");
      } else if (run.collection !== collection) {
        throw new Problem("job_state", "The ingest run is of another collection.");
      }
    },
  };
}
