import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { Clock } from "../rooms/clock.ts";
import type { JobMove, JobProgress, JobRow } from "../store/job-store.ts";
import type { Store } from "../store/store.ts";
import { getLogger, outsideRequests, withLogContext } from "../telemetry/logs.ts";
import { continueTrace } from "../telemetry/traces.ts";
import type { JobContext } from "./job-kind.ts";
import { failureOf, retryDelayMs, type RetryPolicy } from "./retry.ts";
import { RunningJob, type StopReason } from "./running-job.ts";

const log = getLogger("jobs");

/** Before the store is asked again after it refused. */
const ASK_AGAIN_MS = 1000;

/** Longest wait before the queue is looked at again: a clock that was set back delays nothing for longer. */
const LOOK_MS_MAX = 60_000;

/** A kind, whatever it is told. */
export interface RunnableKind {
  name: string;
  concurrency: number;
  retry: RetryPolicy;
  run(payload: unknown, context: JobContext): Promise<Record<string, unknown>>;
  /** Never rejects. */
  finished(job: Readonly<JobRow>): Promise<void>;
}

export interface JobRunnerParts {
  store: Store;
  clock: Clock;
  /** Jobs that run at once; 0 leaves all of them in the queue. */
  workers: number;
  random: () => number;
  /** A job has come to another state: `job` is how it is now. */
  onMoved: (from: JobRow["state"], job: JobRow) => void;
  /** A running job is further than before. */
  onProgress: (job: JobRow, timeLeftMs: number | null) => void;
}

interface Started {
  kind: RunnableKind;
  running: RunningJob;
  ended: Promise<void>;
}

/** Takes due jobs from the store, as many as there are workers, and sees each to its next state. */
export class JobRunner implements AsyncDisposable {
  readonly #parts: JobRunnerParts;
  readonly #kinds = new Map<string, RunnableKind>();
  readonly #started = new Map<string, Started>();
  /** Marked as to be cancelled while they were on their way from the store. */
  readonly #toCancel = new Set<string>();
  #open = false;
  #filling: Promise<void> | undefined;
  #again = false;
  #cancelLook: (() => void) | undefined;

  constructor(parts: JobRunnerParts) {
    this.#parts = parts;
  }

  add(kind: RunnableKind): void {
    this.#kinds.set(kind.name, kind);
  }

  kind(name: string): RunnableKind | undefined {
    return this.#kinds.get(name);
  }

  /** Jobs that run now. */
  get busy(): number {
    return this.#started.size;
  }

  /** How a running job is; undefined where it does not run. */
  progress(id: string): { job: JobRow; timeLeftMs: number | null } | undefined {
    const started = this.#started.get(id);
    if (started === undefined) return undefined;
    return { job: started.running.row, timeLeftMs: started.running.timeLeftMs() };
  }

  /** Begins to take jobs. */
  start(): void {
    this.#open = this.#parts.workers > 0;
    this.wake();
  }

  /** Hears that a job may be due. */
  wake(): void {
    this.#again = true;
    if (!this.#open || this.#filling !== undefined) return;
    this.#filling = outsideRequests(() => this.#fill()).finally(() => {
      this.#filling = undefined;
      if (this.#again) this.wake();
    });
  }

  /** Tells a job that is marked as cancelling to stop. */
  cancel(id: string): void {
    const started = this.#started.get(id);
    if (started !== undefined) started.running.stop("cancelled");
    else if (this.#filling !== undefined) this.#toCancel.add(id);
  }

  /**
   * Takes no further job, lets those that run go on for so long, then puts what is left back into the queue. True where
   * nothing was left.
   */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#open = false;
    this.#cancelLook?.();
    await this.#filling;
    const finished = await this.#ended(timeoutMs);
    for (const { running } of this.#started.values()) running.stop("draining");
    // One that does not listen is found running by the next process, and queued there.
    if (!(await this.#ended(limits.jobStopMsMax))) log.error("jobs.not_stopped");
    return finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  async #ended(timeoutMs: number): Promise<boolean> {
    const all = Promise.all([...this.#started.values()].map(({ ended }) => ended));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([all, promise]);
    clearTimeout(timer);
    return this.#started.size === 0;
  }

  /** Starts what is due while a worker is free. */
  async #fill(): Promise<void> {
    this.#cancelLook?.();
    this.#again = false;
    const { store, clock, workers } = this.#parts;
    let lookMs = LOOK_MS_MAX;
    try {
      while (this.#open && this.#started.size < workers) {
        const kinds = this.#freeKinds();
        const row = await store.claimJob(kinds, clock.now());
        if (row !== undefined) {
          this.#start(row);
          continue;
        }
        const nextMs = await store.nextJobAtMs(kinds);
        if (nextMs !== undefined) lookMs = Math.max(0, nextMs - clock.now());
        break;
      }
    } catch (error) {
      log.warning("jobs.not_claimed", { error });
      lookMs = ASK_AGAIN_MS;
    }
    this.#toCancel.clear();
    if (!this.#open) return;
    this.#cancelLook = clock.after(Math.min(lookMs, LOOK_MS_MAX), () => this.wake());
  }

  /** Kinds of which another one may run. */
  #freeKinds(): string[] {
    const running = Map.groupBy(this.#started.values(), ({ kind }) => kind.name);
    return [...this.#kinds.values()]
      .filter(({ name, concurrency }) => (running.get(name)?.length ?? 0) < concurrency)
      .map(({ name }) => name);
  }

  #start(row: JobRow): void {
    const kind = this.#kinds.get(row.kind);
    if (kind === undefined) return;
    const { store, clock, onMoved, onProgress } = this.#parts;
    const running = new RunningJob(row, {
      clock,
      save: async (progress) => {
        await store.saveJob(row.id, progress);
        onProgress(running.row, running.timeLeftMs());
      },
    });
    const fields = { request_id: row.requestId ?? undefined, job_id: row.id, kind: row.kind };
    const from = { traceparent: row.traceparent ?? undefined, name: `job ${row.kind}` };
    const ended = withLogContext(fields, () =>
      continueTrace(from, () => this.#run(row, kind, running)),
    );
    this.#started.set(row.id, { kind, running, ended });
    onMoved("queued", row);
    if (this.#toCancel.delete(row.id)) running.stop("cancelled");
  }

  async #run(row: JobRow, kind: RunnableKind, running: RunningJob): Promise<void> {
    const startMs = this.#parts.clock.now();
    log.info("job.started", { attempt: row.attempts, collection: row.collection });
    // The map has it before it begins.
    await Promise.resolve();
    let move: (progress: JobProgress) => JobMove;
    try {
      const result = await kind.run(row.payload, running.context());
      move = (progress) => ({
        from: "running",
        to: "succeeded",
        atMs: this.#parts.clock.now(),
        result,
        progress,
      });
    } catch (error) {
      move = this.#moveAfter(error, { kind, running });
    }
    const moved = await this.#settle(row.id, move(await running.end()));
    this.#started.delete(row.id);
    if (moved !== undefined) {
      const duration_ms = this.#parts.clock.now() - startMs;
      const { state, done, errors } = moved;
      log.info("job.ended", { state, done, errors, duration_ms });
      await kind.finished(moved);
      this.#parts.onMoved("running", moved);
    }
    this.wake();
  }

  #moveAfter(
    error: unknown,
    { kind, running }: { kind: RunnableKind; running: RunningJob },
  ): (progress: JobProgress) => JobMove {
    const atMs = this.#parts.clock.now();
    const { stopped } = running;
    if (stopped !== undefined) return stoppedMove(stopped, atMs);
    const { failure, retry, retryAfterMs } = failureOf(error);
    const attempt = running.attempts;
    if (!retry || attempt >= kind.retry.attemptsMax) {
      log.error("job.failed", { attempt, error });
      return (progress) => ({ from: "running", to: "failed", atMs, failure, progress });
    }
    const random = this.#parts.random();
    const delayMs = retryDelayMs(kind.retry, { attempt, random, atLeastMs: retryAfterMs });
    log.warning("job.tried", { attempt, retry_ms: delayMs, error });
    const nextAtMs = atMs + delayMs;
    return (progress) => ({ from: "running", to: "queued", atMs, nextAtMs, failure, progress });
  }

  /** Writes a move down, however often the store refuses; undefined where it cannot, and the next process will find it. */
  async #settle(id: string, move: JobMove): Promise<JobRow | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#parts.store.moveJob(id, move);
      } catch (error) {
        log.error("job.not_saved", { to: move.to, tries, error });
        const isLost = error instanceof Problem && error.code === "not_ready";
        if (isLost || !this.#open) return undefined;
        await new Promise<void>((resolve) => this.#parts.clock.after(ASK_AGAIN_MS, resolve));
      }
    }
  }
}

function stoppedMove(reason: StopReason, atMs: number): (progress: JobProgress) => JobMove {
  return (progress) =>
    reason === "cancelled"
      ? { from: "running", to: "cancelled", atMs, failure: null, progress }
      : { from: "running", to: "queued", atMs, nextAtMs: atMs, failure: null, progress };
}
