import { Elysia } from "elysia";
import {
  IngestRunSchema,
  JobDetailsSchema,
  JobErrorSchema,
  JobListQuerySchema,
  JobParamsSchema,
  JobSchema,
} from "../../contract/jobs.ts";
import { ListQuerySchema, pageOf } from "../../contract/shared.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import { decodeCursor, pageLimit, toPage } from "../cursor.ts";

const params = JobParamsSchema;
const detail = { tags: ["Jobs"] };
const errorsDetail = {
  ...detail,
  description: "Files and lines that the job could not take, in order; the first thousand.",
};

/** Background work: what there is, how far it is, and an end to it. */
export const jobRoutes = ({ jobs }: { jobs: Jobs }) =>
  new Elysia({ name: "job-routes", prefix: "/api/v1" })
    .get(
      "/jobs",
      async ({ query: { limit, cursor, state, kind } }) => {
        const most = pageLimit(limit);
        const before = Number(decodeCursor(cursor)) || Number.MAX_SAFE_INTEGER;
        const page = await jobs.list({
          before,
          limit: most + 1,
          ...(state === undefined ? {} : { state }),
          ...(kind === undefined ? {} : { kind }),
        });
        const { items, next_cursor } = toPage(page, most, ({ number }) => String(number));
        return { items: items.map(({ job }) => job), next_cursor };
      },
      { query: JobListQuerySchema, response: { 200: pageOf(JobSchema) }, detail },
    )
    .get("/jobs/:id", ({ params: { id } }) => jobs.get(id), {
      params,
      response: { 200: JobDetailsSchema },
      detail,
    })
    .get(
      "/jobs/:id/errors",
      async ({ params: { id }, query: { limit, cursor } }) => {
        const most = pageLimit(limit);
        const after = Number(decodeCursor(cursor)) || 0;
        const page = await jobs.errors(id, { after, limit: most + 1 });
        const { items, next_cursor } = toPage(page, most, ({ number }) => String(number));
        return { items: items.map(({ number: _number, ...error }) => error), next_cursor };
      },
      {
        params,
        query: ListQuerySchema,
        response: { 200: pageOf(JobErrorSchema) },
        detail: errorsDetail,
      },
    )
    .post("/jobs/:id/cancel", ({ params: { id } }) => jobs.cancel(id), {
      params,
      response: { 200: JobSchema },
      detail,
    })
    .get("/ingest-runs/:id", ({ params: { id } }) => jobs.ingestRun(id), {
      params,
      response: { 200: IngestRunSchema },
      detail,
    });
