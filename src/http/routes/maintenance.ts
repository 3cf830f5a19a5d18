import { Elysia } from "elysia";
import { CompactReportSchema, VerifyReportSchema } from "../../contract/maintenance.ts";
import type { Maintenance } from "../../maintenance/maintenance.ts";
import { scopeOf } from "../request-scope.ts";

const detail = { tags: ["Operations"] };

/** What an operator does to data that is there. Both take as long as the data is large. */
export const maintenanceRoutes = ({ maintenance }: { maintenance: Maintenance }) =>
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
      ({ request }) => {
        scopeOf(request).keepOpen();
        return maintenance.compact();
      },
      { response: { 200: CompactReportSchema }, detail },
    );
