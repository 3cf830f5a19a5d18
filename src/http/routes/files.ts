import { Type, type TSchema } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Collections } from "../../collections/collections.ts";
import { JobPrioritySchema, JobSchema } from "../../contract/jobs.ts";
import { NameSchema } from "../../contract/shared.ts";
import type { Ingest } from "../../ingest/ingest.ts";
import type { MaintenanceJobs } from "../../maintenance/maintenance-jobs.ts";
import { jobOrigin } from "../job-origin.ts";
import { readFileParts } from "../multipart.ts";

const params = Type.Object({ name: NameSchema });
const QuerySchema = Type.Object({
  priority: Type.Optional(JobPrioritySchema),
  run: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z0-9._-]{1,64}$",
      description: "An ingest run that is not finished; a new one where there is none of this id",
    }),
  ),
});
/** Written by hand: the form is read as a stream and not by a schema. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TypeBox schema is a JSON Schema, and so an OpenAPI one; the two packages' types do not know of each other
const asOpenApi = (schema: TSchema) => schema as unknown as { type: "object" };
const filesDetail = {
  tags: ["Documents"],
  description:
    "Files (md, html, txt, csv, jsonl) into the collection, by a job. The answer comes when they are stored. Documents are called after their files; the same id replaces.",
  requestBody: {
    required: true,
    content: {
      "multipart/form-data": {
        schema: asOpenApi(Type.Object({ file: Type.Array(Type.String({ format: "binary" })) })),
      },
    },
  },
};
const ReindexQuerySchema = Type.Object({
  embed: Type.Optional(
    Type.Literal("all", {
      description:
        "Embed every chunk again by the weights that are installed, in place. Words find all meanwhile; where the weights are other ones, meaning finds nothing until it is done",
    }),
  ),
});
const reindexDetail = {
  tags: ["Operations"],
  description:
    "Removes the collection's index files and makes them anew from the database, by a job. With `embed=all` the vectors are made anew too.",
};

export interface FileRouteDeps {
  collections: Collections;
  ingest: Ingest;
  maintenanceJobs: MaintenanceJobs;
}

/** True for the one path that reads a form of files. */
export function takesFiles(path: string): boolean {
  return /^\/api\/v1\/collections\/[^/]+\/files\/?$/.test(path);
}

/** What is done to a collection by jobs. */
export const fileRoutes = ({ collections, ingest, maintenanceJobs }: FileRouteDeps) =>
  new Elysia({ name: "file-routes", prefix: "/api/v1/collections/:name" })
    .post(
      "/files",
      async ({ params: { name }, query: { priority, run }, request, status }) => {
        const collection = await collections.require(name);
        const job = await ingest.add(collection, readFileParts(request), {
          ...jobOrigin(request),
          ...(priority === undefined ? {} : { priority }),
          ...(run === undefined ? {} : { runId: run }),
        });
        return status(202, job);
      },
      { params, query: QuerySchema, response: { 202: JobSchema }, detail: filesDetail },
    )
    .post(
      "/reindex",
      async ({ params: { name }, query: { embed }, request, status }) => {
        const collection = await collections.require(name);
        const origin = jobOrigin(request);
        const job =
          embed === "all"
            ? await maintenanceJobs.embedAgain(collection, origin)
            : await maintenanceJobs.reindex(collection, origin);
        return status(202, job);
      },
      { params, query: ReindexQuerySchema, response: { 202: JobSchema }, detail: reindexDetail },
    );
