import { Type, type Static } from "@sinclair/typebox";
import { limits } from "../limits.ts";
import { JsonObjectSchema, ListQuerySchema } from "./shared.ts";

/** `queued -> running -> succeeded | failed | cancelled`; one that runs may be queued again. */
export const JobStateSchema = Type.Union(
  [
    Type.Literal("queued"),
    Type.Literal("running"),
    Type.Literal("succeeded"),
    Type.Literal("failed"),
    Type.Literal("cancelled"),
  ],
  { description: "queued, running, then succeeded, failed or cancelled" },
);

export const JobPrioritySchema = Type.Union([
  Type.Literal("low"),
  Type.Literal("normal"),
  Type.Literal("high"),
]);

const TimeOrNull = Type.Union([Type.String(), Type.Null()]);

/** A job as lists show it, and as it is told to the room `jobs:<id>`. */
export const JobSchema = Type.Object(
  {
    id: Type.String(),
    kind: Type.String({ description: "ingest, reindex, backup, compaction" }),
    state: JobStateSchema,
    priority: JobPrioritySchema,
    collection: Type.Union([Type.String(), Type.Null()]),
    progress: Type.Object({
      done: Type.Integer(),
      total: Type.Union([Type.Integer(), Type.Null()], {
        description: "Null while nobody knows",
      }),
      unit: Type.String({ description: "What is counted" }),
    }),
    time_left_ms: Type.Union([Type.Integer(), Type.Null()], {
      description: "Estimated from what this try has done so far; null where nothing can be said",
    }),
    attempts: Type.Integer({ description: "Tries since it last got further" }),
    attempts_max: Type.Integer(),
    next_attempt_at: TimeOrNull,
    cancelling: Type.Boolean({ description: "It runs, and is told to stop" }),
    error: Type.Union([Type.Object({ code: Type.String(), detail: Type.String() }), Type.Null()], {
      description: "Why the last try failed",
    }),
    errors: Type.Integer({ description: "Files and lines that could not be taken" }),
    result: Type.Union([JsonObjectSchema, Type.Null()]),
    run_id: Type.Union([Type.String(), Type.Null()], { description: "Its ingest run" }),
    request_id: Type.Union([Type.String(), Type.Null()], {
      description: "Of the request that it came from",
    }),
    created_at: Type.String(),
    started_at: TimeOrNull,
    finished_at: TimeOrNull,
  },
  { title: "Job" },
);
export type JobDescription = Static<typeof JobSchema>;

/** Something that a job was given and could not take. */
export const JobErrorSchema = Type.Object(
  {
    source: Type.String({ description: "Name of the file" }),
    line: Type.Union([Type.Integer(), Type.Null()], { description: "Null where it is all of it" }),
    code: Type.String(),
    message: Type.String(),
  },
  { title: "JobError" },
);

/** A job with the first of its errors. */
export const JobDetailsSchema = Type.Object(
  {
    ...JobSchema.properties,
    first_errors: Type.Array(JobErrorSchema, {
      description: `The first ${limits.jobErrorsShown}; the list has the others`,
    }),
  },
  { title: "JobDetails" },
);
export type JobDetails = Static<typeof JobDetailsSchema>;

export const JobListQuerySchema = Type.Object({
  ...ListQuerySchema.properties,
  state: Type.Optional(JobStateSchema),
  kind: Type.Optional(Type.String({ maxLength: 64 })),
});

/** Jobs of one batch, taken together. */
export const IngestRunSchema = Type.Object(
  {
    id: Type.String(),
    collection: Type.String(),
    state: Type.Union([Type.Literal("running"), Type.Literal("finished")]),
    jobs: Type.Object({
      queued: Type.Integer(),
      running: Type.Integer(),
      succeeded: Type.Integer(),
      failed: Type.Integer(),
      cancelled: Type.Integer(),
    }),
    documents: Type.Integer({ description: "Written so far" }),
    errors: Type.Integer(),
    documents_per_second: Type.Union([Type.Number(), Type.Null()]),
    created_at: Type.String(),
    started_at: TimeOrNull,
    finished_at: TimeOrNull,
  },
  { title: "IngestRun" },
);
export type IngestRun = Static<typeof IngestRunSchema>;

export const JobParamsSchema = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) });
