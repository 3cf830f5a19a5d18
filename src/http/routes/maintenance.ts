import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { JobSchema } from "../../contract/jobs.ts";
import { CompactReportSchema, VerifyReportSchema } from "../../contract/maintenance.ts";
import type { MaintenanceJobs } from "../../maintenance/maintenance-jobs.ts";
import type { Maintenance } from "../../maintenance/maintenance.ts";
import { jobOrigin } from "../job-origin.ts";
import { scopeOf } from "../request-scope.ts";

const detail = { tags: ["Operations"] };

const CompactQuerySchema = Type.Object({
  as: Type.Optional(Type.Literal("job", { description: "Answer at once with a job that does it" })),
});

export interface MaintenanceRouteDeps {
  maintenance: Maintenance;
  maintenanceJobs: MaintenanceJobs;
}

/** What an operator does to data that is there. Both take as long as the data is large. */
export const maintenanceRoutes = ({ maintenance, maintenanceJobs }: MaintenanceRouteDeps) =>
  new Elysia({ name: "maintenance-routes", prefix: "/api/v1/admin" })
    .post(
      "/verify",
      ({ request }) => {
        scopeOf(request).keepOpen();
        return maintenance.verify();
      },
      { response: { 200: VerifyReportSchema }, detail },
    )
    .post(
      "/compact",
      async ({ query, request, status }) => {
        if (query.as === "job") {
          return status(202, await maintenanceJobs.compact(jobOrigin(request)));
        }
        scopeOf(request).keepOpen();
        return status(200, await maintenance.compact());
      },
      {
        query: CompactQuerySchema,
        response: { 200: CompactReportSchema, 202: JobSchema },
        detail,
      },
    );
