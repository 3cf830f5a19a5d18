import { limits } from "../limits.ts";
import type { Clock } from "../rooms/clock.ts";
import type { JobError, JobProgress, JobRow } from "../store/job-store.ts";
import type { JobContext, JobReport } from "./job-kind.ts";

/** Why a job that runs is stopped: somebody does not want it, or the server stops. */
export type StopReason = "cancelled" | "draining";

/** What a job's signal is aborted with. */
export class JobStopped extends Error {
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`the job is stopped: ${reason}`);
    this.name = "JobStopped";
    this.reason = reason;
  }
}

interface RunningJobParts {
  clock: Clock;
  /** Writes down how far it is. */
  save: (progress: JobProgress) => Promise<void>;
}

/** One try of a job: what it has done so far, and its end. */
export class RunningJob {
  readonly #row: JobRow;
  readonly #parts: RunningJobParts;
  readonly #stop = new AbortController();
  readonly #startMs: number;
  readonly #doneAtStart: number;
  #done: number;
  #total: number | null;
  #errors: number;
  #newErrors: JobError[] = [];
  #checkpoint: unknown;
  #checkpointMoved = false;
  #changed = false;
  #cancelSave: (() => void) | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(row: JobRow, parts: RunningJobParts) {
    this.#row = row;
    this.#parts = parts;
    this.#startMs = parts.clock.now();
    this.#done = row.done;
    this.#doneAtStart = row.done;
    this.#total = row.total;
    this.#errors = row.errors;
  }

  /** What its kind is given. */
  context(): JobContext {
    return {
      id: this.#row.id,
      signal: this.#stop.signal,
      resumed: this.#row.attempts > 1 || this.#row.checkpoint !== undefined || this.#row.done > 0,
      checkpoint: this.#row.checkpoint,
      job: this.#row,
      report: (report) => this.#report(report),
    };
  }

  /** The row with what is not written down yet. */
  get row(): JobRow {
    return { ...this.#row, done: this.#done, total: this.#total, errors: this.#errors };
  }

  /** Tries since the checkpoint last moved, this one included. */
  get attempts(): number {
    return this.#checkpointMoved ? 1 : this.#row.attempts;
  }

  /** Why it was told to stop, if it was. */
  get stopped(): StopReason | undefined {
    const { aborted } = this.#stop.signal;
    if (!aborted) return undefined;
    const reason: unknown = this.#stop.signal.reason;
    return reason instanceof JobStopped ? reason.reason : "draining";
  }

  /** Tells it to stop; the first reason counts. */
  stop(reason: StopReason): void {
    if (reason === "cancelled") this.#row.cancelling = true;
    if (!this.#stop.signal.aborted) this.#stop.abort(new JobStopped(reason));
  }

  /** From how fast this try has been; null where it has not moved or the total is not known. */
  timeLeftMs(): number | null {
    const moved = this.#done - this.#doneAtStart;
    if (this.#total === null || moved <= 0) return null;
    const elapsedMs = this.#parts.clock.now() - this.#startMs;
    return Math.max(0, Math.round(((this.#total - this.#done) * elapsedMs) / moved));
  }

  /** Nothing is written down any more: gives what the last write has not, for its end. */
  async end(): Promise<JobProgress> {
    this.#cancelSave?.();
    await this.#saving;
    // What was reported meanwhile would be written down after the end.
    this.#cancelSave?.();
    return this.#take();
  }

  #report({ done, total, checkpoint, errors = [] }: JobReport): void {
    this.#done = done;
    if (total !== undefined) this.#total = total;
    if (checkpoint !== undefined) {
      this.#checkpoint = checkpoint;
      this.#checkpointMoved = true;
    }
    // Those past the bound are counted and not kept.
    const room = Math.max(0, limits.jobErrorsMax - this.#errors);
    this.#errors += errors.length;
    this.#newErrors.push(...errors.slice(0, room).map(shortened));
    this.#changed = true;
    this.#saveSoon();
  }

  #saveSoon(): void {
    this.#cancelSave ??= this.#parts.clock.after(limits.jobProgressMs, () => {
      this.#saving = this.#save().finally(() => {
        this.#cancelSave = undefined;
        if (this.#changed) this.#saveSoon();
      });
    });
  }

  async #save(): Promise<void> {
    const progress = this.#take();
    try {
      await this.#parts.save(progress);
    } catch {
      // As where too many writes wait, or the disk is full: it goes with the next one, and the end of the job tells more.
      this.#newErrors.unshift(...progress.newErrors);
      this.#checkpoint ??= progress.checkpoint;
    }
  }

  #take(): JobProgress {
    const progress = {
      done: this.#done,
      total: this.#total,
      checkpoint: this.#checkpoint,
      newErrors: this.#newErrors,
      errors: this.#errors,
    };
    this.#newErrors = [];
    this.#checkpoint = undefined;
    this.#changed = false;
    return progress;
  }
}

function shortened(error: JobError): JobError {
  return { ...error, message: error.message.slice(0, limits.jobErrorMessageCharactersMax) };
}
