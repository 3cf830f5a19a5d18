import { Elysia } from "elysia";
import { Type } from "@sinclair/typebox";
import { LiveSchema, ReadySchema, StartupSchema, VersionSchema } from "../../contract/health.ts";
import type { Engines } from "../../engine/engines.ts";
import type { IndexReport } from "../../engine/collection-index.ts";
import { isProblemCode, PROBLEMS, Problem } from "../../problems.ts";
import type { StoreRead } from "../../store/store.ts";
import { VERSION } from "../../version.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { startup } from "../starting.ts";

/** A database slower than this is degraded; slower than ten times this, unhealthy. */
const LATENCY_MS_DEGRADED = 100;
const LATENCY_MS_UNHEALTHY = 1000;

const detail = { tags: ["Operations"] };

export interface OperationsDeps {
  store: StoreRead;
  engines: Pick<Engines, "reports">;
  lifecycle: Lifecycle;
}

/** Probes, version, and what the problem codes mean. */
export const operationsRoutes = (deps: OperationsDeps) =>
  new Elysia({ name: "operations-routes" })
    .get(
      "/health/live",
      () => ({ status: "healthy" as const, timestamp: new Date().toISOString() }),
      {
        response: { 200: LiveSchema },
        detail,
      },
    )
    .get(
      "/health/ready",
      async ({ status }) => {
        const readiness = await checkReadiness(deps);
        return readiness.status === "unhealthy" ? status(503, readiness) : status(200, readiness);
      },
      { response: { 200: ReadySchema, 503: ReadySchema }, detail },
    )
    .get("/health/startup", () => startup(deps.lifecycle), {
      response: { 200: StartupSchema },
      detail,
    })
    .get("/version", () => VERSION, { response: { 200: VersionSchema }, detail })
    .get(
      "/problems/:code",
      ({ params: { code } }) => {
        if (!isProblemCode(code))
          throw new Problem("problem_not_found", "No problem has this code.");
        const { status, title, retry } = PROBLEMS[code];
        return { code, status, title, retry };
      },
      {
        params: Type.Object({ code: Type.String() }),
        response: {
          200: Type.Object({
            code: Type.String(),
            status: Type.Integer(),
            title: Type.String(),
            retry: Type.Boolean({ description: "Whether the same request may succeed later" }),
          }),
        },
        detail,
      },
    );

async function checkReadiness({ store, engines, lifecycle }: OperationsDeps) {
  const start = performance.now();
  const timestamp = new Date().toISOString();
  const database = await checkDatabase(store);
  const index = indexCheck(await engines.reports());
  const pending = database.responsive ? await store.pendingTotal() : 0;
  const serving = lifecycle.state === "ready" && database.status !== "unhealthy";
  return {
    status: !serving
      ? ("unhealthy" as const)
      : index.status === "degraded"
        ? index.status
        : database.status,
    timestamp,
    checks: {
      database,
      index,
      embedder: { status: "healthy" as const, pending_embeddings: pending },
    },
    duration_ms: round(performance.now() - start),
  };
}

/** An index that is being made again answers with what it has so far. */
function indexCheck(reports: readonly IndexReport[]) {
  const degraded = reports.some(({ catchingUp, failures }) => catchingUp || failures > 0);
  const status = degraded ? ("degraded" as const) : ("healthy" as const);
  return { status, vectors: reports.reduce((sum, { vectors }) => sum + vectors, 0) };
}

async function checkDatabase(store: StoreRead) {
  try {
    const latency = await store.ping();
    return { status: latencyStatus(latency), latency_ms: round(latency), responsive: true };
  } catch {
    // The reason is the log's; a probe's reader learns that the database does not answer.
    return { status: "unhealthy" as const, latency_ms: 0, responsive: false };
  }
}

/** Healthy below 100 ms, unhealthy above 1000 ms, degraded between, both borders included. */
export function latencyStatus(latencyMs: number): "healthy" | "degraded" | "unhealthy" {
  if (latencyMs > LATENCY_MS_UNHEALTHY) return "unhealthy";
  return latencyMs < LATENCY_MS_DEGRADED ? "healthy" : "degraded";
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}
