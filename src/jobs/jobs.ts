import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { IngestRun, JobDescription, JobDetails } from "../contract/jobs.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { systemClock, type Clock } from "../rooms/clock.ts";
import type { JobErrorRow, JobPage, JobRow, NewJob } from "../store/job-store.ts";
import type { Store } from "../store/store.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";
import { createJobCounts } from "./count-jobs.ts";
import { describeJob, describeRun } from "./describe-job.ts";
import type { AddOptions, JobKind } from "./job-kind.ts";
import { RETRY_DEFAULT } from "./retry.ts";
import { JobRunner, type RunnableKind } from "./runner.ts";
import { isFinal, requireMove } from "./states.ts";

const log = getLogger("jobs");

/** How often old jobs are removed. */
const PRUNE_MS = 60 * 60_000;

export interface JobsOptions {
  store: Store;
  /** Jobs that run at once; 0 leaves them in the queue, for another process. */
  workers: number;
  /** The machine's by default. */
  clock?: Clock;
  /** 0 to 1, for the jitter of retries. */
  random?: () => number;
}

/** Where jobs of one kind are put. */
export interface JobQueue<Payload extends TSchema> {
  /** Resolves when the job is stored. @throws Problem `busy`, `job_state` */
  add(payload: Static<Payload>, options?: AddOptions): Promise<JobDescription>;
}

/** Background work. The store is the queue: what runs here may end at any moment, and goes on in the next process. */
export interface Jobs extends AsyncDisposable {
  /** Makes a kind known; to be called before `start`. */
  register<Payload extends TSchema>(kind: JobKind<Payload>): JobQueue<Payload>;
  /** Takes over what an earlier process left, and begins. */
  start(): Promise<void>;
  /** @throws Problem `job_not_found` */
  get(id: string): Promise<JobDetails>;
  /** The newest first. */
  list(page: JobPage): Promise<{ number: number; job: JobDescription }[]>;
  /** @throws Problem `job_not_found` */
  errors(id: string, page: { after: number; limit: number }): Promise<JobErrorRow[]>;
  /**
   * Stops a job: one that waits at once, one that runs as soon as it can. One that was cancelled stays so.
   * @throws Problem `job_not_found`; `job_state` where it has ended otherwise
   */
  cancel(id: string): Promise<JobDescription>;
  /** @throws Problem `job_not_found` */
  ingestRun(id: string): Promise<IngestRun>;
  /** True for a job that is stored and has not ended. */
  isWanted(id: string): Promise<boolean>;
  /** Called with each job that was added, moved or got further, a few times a second at most each. Must not throw. */
  listen(listener: (job: JobDescription) => void): void;
  workers(): Promise<{ total: number; busy: number; queued: number }>;
  /** As `JobRunner.drain`. */
  drain(timeoutMs: number): Promise<boolean>;
}

/** Jobs over a store, of which only this process writes jobs. */
export function createJobs(options: JobsOptions): Jobs {
  const { store, workers, clock = systemClock, random = Math.random } = options;
  const counts = createJobCounts();
  const listeners: ((job: JobDescription) => void)[] = [];
  const tell = (job: JobRow, timeLeftMs: number | null = null): void => {
    if (listeners.length === 0) return;
    const description = describeJob(job, timeLeftMs);
    for (const listener of listeners) listener(description);
  };
  const moved = (from: JobRow["state"], job: JobRow): void => {
    counts.moved(from, job);
    tell(job);
    if (isFinal(job.state)) outsideRequests(() => void countRun(job));
  };
  const countRun = async ({ runId }: JobRow): Promise<void> => {
    const run = runId === null ? undefined : await store.ingestRun(runId).catch(() => undefined);
    if (run !== undefined && run.finishedAtMs !== null)
      counts.runFinished(run.collection, run.documents);
  };
  const runner = new JobRunner({
    store,
    clock,
    workers,
    random,
    onMoved: moved,
    onProgress: tell,
  });
  const pruning = pruneRegularly(store, clock);
  return {
    ...reading({ store, clock, runner }),
    register: (kind) => {
      const runnable = runnableOf(kind);
      runner.add(runnable);
      return {
        async add(payload, added = {}) {
          const job = newJob(kind, payload, { ...added, attemptsMax: runnable.retry.attemptsMax });
          const row = await store.addJob(job, clock.now());
          counts.created(row);
          log.info("job.added", { job_id: row.id, kind: row.kind, collection: row.collection });
          tell(row);
          runner.wake();
          return describeJob(row);
        },
      };
    },
    async start() {
      const recovered = await store.recoverJobs(clock.now());
      const { queued, running } = await store.jobCounts();
      counts.setActive(queued + running + recovered.filter(({ state }) => isFinal(state)).length);
      for (const job of recovered) {
        log.info("job.recovered", { job_id: job.id, request_id: job.requestId, state: job.state });
        moved("running", job);
        if (isFinal(job.state)) await runner.kind(job.kind)?.finished(job);
      }
      pruning.start();
      runner.start();
    },
    cancel: (id) => cancel(id, { store, clock, runner, moved }),
    listen: (listener) => void listeners.push(listener),
    async workers() {
      return { total: workers, busy: runner.busy, queued: (await store.jobCounts()).queued };
    },
    drain: (timeoutMs) => runner.drain(timeoutMs),
    async [Symbol.asyncDispose]() {
      pruning.stop();
      await runner[Symbol.asyncDispose]();
      counts.end();
    },
  };
}

interface Parts {
  store: Store;
  clock: Clock;
  runner: JobRunner;
}

function reading({ store, clock, runner }: Parts) {
  const describe = (row: JobRow): JobDescription => {
    const now = row.state === "running" ? runner.progress(row.id) : undefined;
    return describeJob(now?.job ?? row, now?.timeLeftMs ?? null);
  };
  const errors: Jobs["errors"] = async (id, page) => {
    await requireJob(store, id);
    return store.jobErrors(id, page);
  };
  return {
    errors,
    async get(id: string): Promise<JobDetails> {
      const row = await requireJob(store, id);
      const first = await store.jobErrors(id, { after: 0, limit: limits.jobErrorsShown });
      const shown = first.map(({ number: _number, ...error }) => error);
      return { ...describe(row), first_errors: shown };
    },
    async list(page: JobPage) {
      const rows = await store.jobs(page);
      return rows.map((row) => ({ number: row.number, job: describe(row) }));
    },
    async ingestRun(id: string): Promise<IngestRun> {
      const run = await store.ingestRun(id);
      if (run === undefined) throw new Problem("job_not_found", "No ingest run has this id.");
      return describeRun(run, clock.now());
    },
    async isWanted(id: string): Promise<boolean> {
      const row = await store.job(id);
      return row !== undefined && !isFinal(row.state);
    },
  };
}

async function cancel(
  id: string,
  parts: Parts & { moved: (from: JobRow["state"], job: JobRow) => void },
): Promise<JobDescription> {
  const { store, clock, runner, moved } = parts;
  const row = await requireJob(store, id);
  if (row.state === "cancelled") return describeJob(row);
  requireMove(row.state, "cancelled");
  if (row.state === "queued") {
    const cancelled = await store.moveJob(id, {
      from: "queued",
      to: "cancelled",
      atMs: clock.now(),
    });
    if (cancelled !== undefined) {
      await runner.kind(cancelled.kind)?.finished(cancelled);
      moved("queued", cancelled);
      return describeJob(cancelled);
    }
  }
  const marked = await store.markJobCancelling(id);
  // It has come to its end, or back into the queue, while it was looked at.
  if (marked === undefined) return cancel(id, parts);
  runner.cancel(id);
  return describeJob(marked);
}

async function requireJob(store: Store, id: string): Promise<JobRow> {
  const row = await store.job(id);
  if (row === undefined) throw new Problem("job_not_found", "No job has this id.");
  return row;
}

function runnableOf<Payload extends TSchema>(kind: JobKind<Payload>): RunnableKind {
  return {
    name: kind.name,
    concurrency: kind.concurrency ?? Infinity,
    retry: { ...RETRY_DEFAULT, ...kind.retry },
    async run(payload, context) {
      // Another version of the program may have stored it.
      if (Value.Check(kind.payload, payload)) return kind.run(payload, context);
      throw new Problem("invalid_request", "This version cannot read what the job is to do.");
    },
    async finished(job) {
      if (!isFinal(job.state) || !Value.Check(kind.payload, job.payload)) return;
      try {
        await kind.finished?.(job.payload, job);
      } catch (error) {
        // Files that cannot be removed must keep neither the server from starting nor a job from its end.
        log.warning("job.not_cleared", { job_id: job.id, error });
      }
    },
  };
}

function newJob<Payload extends TSchema>(
  kind: JobKind<Payload>,
  payload: Static<Payload>,
  options: AddOptions & { attemptsMax: number },
): NewJob {
  return {
    id: options.id ?? Bun.randomUUIDv7(),
    kind: kind.name,
    collection: options.collection ?? null,
    priority: options.priority ?? "normal",
    payload,
    total: options.total ?? null,
    unit: kind.unit,
    attemptsMax: options.attemptsMax,
    requestId: options.requestId ?? null,
    traceparent: options.traceparent ?? null,
    runId: options.runId ?? null,
  };
}

/** Removes old jobs at the start and then now and then. */
function pruneRegularly(store: Store, clock: Clock) {
  let stop: (() => void) | undefined;
  const prune = async (): Promise<void> => {
    const finishedBeforeMs = clock.now() - limits.jobsFinishedMs;
    while ((await store.pruneJobs({ finishedBeforeMs, keep: limits.jobsFinishedMax })) > 0);
  };
  const next = (): void => {
    prune().catch((error: unknown) => log.warning("jobs.not_pruned", { error }));
    stop = clock.after(PRUNE_MS, next);
  };
  return { start: next, stop: () => stop?.() };
}
