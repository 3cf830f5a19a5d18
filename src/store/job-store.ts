import type { ProblemCode } from "../problems.ts";

/** Where a job stands. The last three are final. */
export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

export type JobPriority = "low" | "normal" | "high";

/** A job to be put into the queue. */
export interface NewJob {
  id: string;
  kind: string;
  collection: string | null;
  priority: JobPriority;
  /** A JSON value. */
  payload: unknown;
  total: number | null;
  /** What `done` and `total` count. */
  unit: string;
  attemptsMax: number;
  requestId: string | null;
  traceparent: string | null;
  /** The ingest run that it belongs to, which is made where it is not there. */
  runId: string | null;
}

/** Why a try failed. */
export interface JobFailure {
  code: ProblemCode;
  detail: string;
}

/** A job as it is stored. */
export interface JobRow extends NewJob {
  /** Grows from one job to the next. */
  number: number;
  state: JobState;
  /** JSON values of the kind's own; undefined where there is none. */
  checkpoint: unknown;
  result: unknown;
  done: number;
  errors: number;
  /** Tries since the checkpoint last moved, the present one included. */
  attempts: number;
  nextAtMs: number;
  /** It runs, and somebody wants it to stop. */
  cancelling: boolean;
  failure: JobFailure | null;
  createdAtMs: number;
  /** Of its first try. */
  startedAtMs: number | null;
  finishedAtMs: number | null;
}

/** One thing that a job was given and could not take: a file, or a line of one. */
export interface JobError {
  source: string;
  /** Counted from 1; null where it is the whole file. */
  line: number | null;
  code: ProblemCode;
  message: string;
}

export interface JobErrorRow extends JobError {
  /** 1 for a job's first. */
  number: number;
}

/** What a running job has done since it was last written down. */
export interface JobProgress {
  done: number;
  total: number | null;
  /** Undefined leaves the stored one. */
  checkpoint: unknown;
  /** To be shown, and how many there are, these included. */
  newErrors: readonly JobError[];
  errors: number;
}

/** A change of state. `from` is where the job has to stand for it. */
export type JobMove =
  | { from: "running"; to: "succeeded"; atMs: number; result: unknown; progress: JobProgress }
  | {
      from: "running";
      to: "failed" | "cancelled";
      atMs: number;
      failure: JobFailure | null;
      progress: JobProgress;
    }
  | { from: "queued"; to: "cancelled"; atMs: number }
  | {
      from: "running";
      /** It becomes cancelled where somebody wanted it to stop meanwhile. */
      to: "queued";
      atMs: number;
      nextAtMs: number;
      /** Null where nothing went wrong, as at a stop of the server: the try is not counted then. */
      failure: JobFailure | null;
      progress: JobProgress;
    };

/** Jobs by number, the newest first. */
export interface JobPage {
  /** Numbers below this one. */
  before: number;
  limit: number;
  state?: JobState;
  kind?: string;
  runId?: string;
}

/** The jobs of an ingest run, taken together. */
export interface IngestRunRow {
  id: string;
  collection: string;
  createdAtMs: number;
  /** Jobs by their states. */
  jobs: Record<JobState, number>;
  done: number;
  errors: number;
  /** Of the documents that its jobs have written, as far as they say. */
  documents: number;
  startedAtMs: number | null;
  /** Of the last job; null while one is not finished. */
  finishedAtMs: number | null;
}

/** What a store knows of jobs. */
export interface JobRead {
  job(id: string): Promise<JobRow | undefined>;
  jobs(page: JobPage): Promise<JobRow[]>;
  /** In their order, those after a number. */
  jobErrors(id: string, options: { after: number; limit: number }): Promise<JobErrorRow[]>;
  /** How many wait and how many run. */
  jobCounts(): Promise<{ queued: number; running: number }>;
  /** When the next job of one of these kinds is due; undefined where none waits. */
  nextJobAtMs(kinds: readonly string[]): Promise<number | undefined>;
  ingestRun(id: string): Promise<IngestRunRow | undefined>;
}

/** The writes of jobs, each acknowledged after COMMIT. */
export interface JobWrite {
  /**
   * @throws Problem `busy` where `limits.jobsQueuedMax` wait; `job_state` where its run is finished, or of another collection
   */
  addJob(job: NewJob, atMs: number): Promise<JobRow>;
  /** The first due job of these kinds, which runs from now on. */
  claimJob(kinds: readonly string[], nowMs: number): Promise<JobRow | undefined>;
  /** Writes down how far a running job is; without effect on another. */
  saveJob(id: string, progress: JobProgress): Promise<void>;
  /** Undefined where the job does not stand where the move begins. */
  moveJob(id: string, move: JobMove): Promise<JobRow | undefined>;
  /** Notes that a running job shall stop. Undefined where it does not run. */
  markJobCancelling(id: string): Promise<JobRow | undefined>;
  /**
   * What an earlier process has left running waits again; what was to stop is cancelled, and what has no try left failed.
   * Gives them as they are now.
   */
  recoverJobs(nowMs: number): Promise<JobRow[]>;
  /** Removes a slice of finished jobs: those from before a time, and the oldest past a number. How many it removed. */
  pruneJobs(options: { finishedBeforeMs: number; keep: number }): Promise<number>;
}
