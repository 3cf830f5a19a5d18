import type { Static, TSchema } from "@sinclair/typebox";
import type { JobError, JobPriority, JobRow } from "../store/job-store.ts";
import type { RetryPolicy } from "./retry.ts";

/** What a job has done. Everything but `errors` is where it stands now; those are new. */
export interface JobReport {
  done: number;
  total?: number | null;
  /** A JSON value from which another try goes on: everything before it is done for good. */
  checkpoint?: unknown;
  errors?: readonly JobError[];
}

/** What a running job is given. */
export interface JobContext {
  readonly id: string;
  /** Aborted where the job shall stop; what runs then throws its reason, soon. */
  readonly signal: AbortSignal;
  /** It was begun before, and what it did after the checkpoint may have been done or not. */
  readonly resumed: boolean;
  /** The last one reported by an earlier try. */
  readonly checkpoint: unknown;
  readonly job: Readonly<JobRow>;
  /** Notes how far it is; written down and told twice a second at most. */
  readonly report: (report: JobReport) => void;
}

/** A kind of job. `Payload` is what it is told, a JSON value that stays the same from one version to the next. */
export interface JobKind<Payload extends TSchema> {
  /** Lower case; stored with each job. */
  name: string;
  payload: Payload;
  /** What its progress counts. */
  unit: string;
  /** Jobs of this kind that run at once; as many as there are workers where it is not said. */
  concurrency?: number;
  retry?: Partial<RetryPolicy>;
  /**
   * Does it, and gives what came of it. It may be done again from its last checkpoint at any time, and has to come to the
   * same end. @throws Problem that says whether another try may succeed
   */
  run(payload: Static<Payload>, context: JobContext): Promise<Record<string, unknown>>;
  /** After its end, however it ended: removes what only the job needed. May be called more than once. */
  finished?(payload: Static<Payload>, job: Readonly<JobRow>): Promise<void>;
}

/** What is said of a job when it is put into the queue. */
export interface AddOptions {
  /** Made by the caller where something lies under its name already. */
  id?: string;
  collection?: string;
  priority?: JobPriority;
  total?: number;
  runId?: string;
  /** Of the request that it comes from. */
  requestId?: string | undefined;
  traceparent?: string | undefined;
}
