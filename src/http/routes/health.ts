import { Elysia } from "elysia";
import { HealthSchema, LiveSchema, ReadySchema, StartupSchema } from "../../contract/health.ts";
import type { Health } from "../health.ts";

const detail = { tags: ["Operations"] };
const readyAnswers = { 200: ReadySchema, 503: ReadySchema };

/** Probes: they ask no key, and say nothing of what is in the data. */
export const healthRoutes = ({ health }: { health: Health }) =>
  new Elysia({ name: "health-routes" })
    .get(
      "/health/live",
      () => ({ status: "healthy" as const, timestamp: new Date().toISOString() }),
      { response: { 200: LiveSchema }, detail },
    )
    .get(
      "/health/ready",
      async ({ status }) => {
        const readiness = await health.ready();
        return status(readiness.status === "unhealthy" ? 503 : 200, readiness);
      },
      { response: readyAnswers, detail },
    )
    .get(
      "/ready",
      async ({ status }) => {
        const readiness = await health.ready();
        return status(readiness.status === "unhealthy" ? 503 : 200, readiness);
      },
      { response: readyAnswers, detail: { ...detail, description: "As /health/ready." } },
    )
    .get(
      "/health/startup",
      async ({ status }) => {
        const startup = await health.startup();
        return status(startup.status === "started" ? 200 : 503, startup);
      },
      { response: { 200: StartupSchema, 503: StartupSchema }, detail },
    )
    .get("/health", () => health.report(), {
      response: { 200: HealthSchema },
      detail: {
        ...detail,
        deprecated: true,
        description:
          "Everything at once, always 200: for people, and for what knows no other path. Probes ask `/health/live`, `/health/ready` and `/health/startup`.",
      },
    });
