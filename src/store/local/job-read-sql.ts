import type { ProblemCode } from "../../problems.ts";
import type {
  IngestRunRow,
  JobErrorRow,
  JobPage,
  JobPriority,
  JobRow,
  JobState,
} from "../job-store.ts";
import type { Connection } from "./open-database.ts";

/** A row of `jobs` as SQLite gives it. */
export interface StoredJob {
  number: number;
  id: string;
  kind: string;
  collection: string | null;
  state: JobState;
  priority: 0 | 1 | 2;
  payload: string;
  checkpoint: string | null;
  result: string | null;
  done: number;
  total: number | null;
  unit: string;
  errors: number;
  attempts: number;
  attemptsMax: number;
  nextAtMs: number;
  cancelling: 0 | 1;
  errorCode: ProblemCode | null;
  errorDetail: string | null;
  requestId: string | null;
  traceparent: string | null;
  runId: string | null;
  createdAtMs: number;
  startedAtMs: number | null;
  finishedAtMs: number | null;
}

/** Columns of `jobs` by the names of `StoredJob`. */
export const JOB_COLUMNS = `number, id, kind, collection, state, priority, payload, checkpoint, result, done, total, unit,
  errors, attempts, attempts_max AS attemptsMax, next_at_ms AS nextAtMs, cancelling, error_code AS errorCode,
  error_detail AS errorDetail, request_id AS requestId, traceparent, run_id AS runId, created_at_ms AS createdAtMs,
  started_at_ms AS startedAtMs, finished_at_ms AS finishedAtMs`;

/** Priorities by their numbers. */
export const PRIORITIES: readonly [JobPriority, JobPriority, JobPriority] = [
  "low",
  "normal",
  "high",
];

interface StoredRun extends Omit<IngestRunRow, "jobs" | "finishedAtMs">, Record<JobState, number> {
  lastFinishedAtMs: number | null;
}

const RUN = `SELECT r.id, r.collection, r.created_at_ms AS createdAtMs, sum(done) AS done, sum(errors) AS errors,
    min(started_at_ms) AS startedAtMs, max(finished_at_ms) AS lastFinishedAtMs,
    coalesce(sum(json_extract(coalesce(result, checkpoint), '$.documents')), 0) AS documents,
    sum(state = 'queued') AS queued, sum(state = 'running') AS running, sum(state = 'succeeded') AS succeeded,
    sum(state = 'failed') AS failed, sum(state = 'cancelled') AS cancelled
  FROM ingest_runs r JOIN jobs j ON j.run_id = r.id WHERE r.id = ? GROUP BY r.id`;

/** The SQL that reads jobs. */
export function jobReadSql({ keep }: Connection) {
  const byId = keep<StoredJob, [string]>(`SELECT ${JOB_COLUMNS} FROM jobs WHERE id = ?`);
  const page = keep<StoredJob, (string | number | null)[]>(
    `SELECT ${JOB_COLUMNS} FROM jobs WHERE number < ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR kind = ?3)
       AND (?4 IS NULL OR run_id = ?4) ORDER BY number DESC LIMIT ?5`,
  );
  const errors = keep<JobErrorRow, [string, number, number]>(
    `SELECT number, source, line, code, message FROM job_errors
     WHERE job_number = (SELECT number FROM jobs WHERE id = ?) AND number > ? ORDER BY number LIMIT ?`,
  );
  const queued = keep<{ count: number }, []>(
    "SELECT count(*) AS count FROM jobs WHERE state = 'queued'",
  );
  const running = keep<{ count: number }, []>(
    "SELECT count(*) AS count FROM jobs WHERE state = 'running'",
  );
  const nextAt = keep<{ nextAtMs: number | null }, [string]>(
    `SELECT min(next_at_ms) AS nextAtMs FROM jobs
     WHERE state = 'queued' AND kind IN (SELECT value FROM json_each(?))`,
  );
  const run = keep<StoredRun, [string]>(RUN);
  return {
    job: (id: string): JobRow | undefined => {
      const row = byId.get(id);
      return row === null ? undefined : toJobRow(row);
    },
    jobs: ({ before, limit, state, kind, runId }: JobPage): JobRow[] =>
      page.all(before, state ?? null, kind ?? null, runId ?? null, limit).map(toJobRow),
    jobErrors: (id: string, { after, limit }: { after: number; limit: number }): JobErrorRow[] =>
      errors.all(id, after, limit),
    jobCounts: () => ({
      queued: queued.get()?.count ?? 0,
      running: running.get()?.count ?? 0,
    }),
    nextJobAtMs: (kinds: readonly string[]): number | undefined =>
      nextAt.get(JSON.stringify(kinds))?.nextAtMs ?? undefined,
    ingestRun: (id: string): IngestRunRow | undefined => {
      const row = run.get(id);
      return row === null ? undefined : toRunRow(row);
    },
  };
}

export type JobReadSql = ReturnType<typeof jobReadSql>;

/** A job as the port gives it. */
export function toJobRow(row: StoredJob): JobRow {
  const { priority, payload, checkpoint, result, cancelling, errorCode, errorDetail, ...rest } =
    row;
  return {
    ...rest,
    priority: PRIORITIES[priority],
    payload: JSON.parse(payload),
    checkpoint: fromJson(checkpoint),
    result: fromJson(result),
    cancelling: cancelling === 1,
    failure: errorCode === null ? null : { code: errorCode, detail: errorDetail ?? "" },
  };
}

function fromJson(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text);
}

function toRunRow(row: StoredRun): IngestRunRow {
  const { queued, running, succeeded, failed, cancelled, lastFinishedAtMs, ...rest } = row;
  const isFinished = queued + running === 0;
  return {
    ...rest,
    jobs: { queued, running, succeeded, failed, cancelled },
    finishedAtMs: isFinished ? lastFinishedAtMs : null,
  };
}
