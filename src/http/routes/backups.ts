import { Elysia } from "elysia";
import { BackupParamsSchema, BackupSchema } from "../../contract/backups.ts";
import { JobSchema } from "../../contract/jobs.ts";
import { ListQuerySchema, pageOf } from "../../contract/shared.ts";
import type { Backups } from "../../maintenance/backups.ts";
import { decodeCursor, pageLimit, toPage } from "../cursor.ts";
import { jobOrigin } from "../job-origin.ts";

const detail = { tags: ["Operations"] };
const noContent = { ...detail, responses: { 204: { description: "It is gone." } } };
const makeDetail = {
  ...detail,
  description: "Copies the data by a job, opens the copy and checks all of it. Everything goes on.",
};

/** Copies of the data. */
export const backupRoutes = ({ backups }: { backups: Backups }) =>
  new Elysia({ name: "backup-routes", prefix: "/api/v1/backups" })
    .get(
      "",
      async ({ query }) => {
        const limit = pageLimit(query.limit);
        const after = decodeCursor(query.cursor);
        const all = await backups.list();
        const start = after === "" ? 0 : all.findIndex(({ name }) => name === after) + 1;
        return toPage(all.slice(start, start + limit + 1), limit, ({ name }) => name);
      },
      { query: ListQuerySchema, response: { 200: pageOf(BackupSchema) }, detail },
    )
    .post("", async ({ request, status }) => status(202, await backups.make(jobOrigin(request))), {
      response: { 202: JobSchema },
      detail: makeDetail,
    })
    .delete(
      "/:backup",
      async ({ params: { backup }, status }) => {
        await backups.remove(backup);
        return status(204, undefined);
      },
      { params: BackupParamsSchema, detail: noContent },
    );
