import { Elysia } from "elysia";
import type { Collections } from "../collections/collections.ts";
import type { Documents } from "../documents/documents.ts";
import type { Idempotency } from "../documents/idempotency.ts";
import type { Engines } from "../engine/engines.ts";
import type { Ingest } from "../ingest/ingest.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { Backups } from "../maintenance/backups.ts";
import type { MaintenanceJobs } from "../maintenance/maintenance-jobs.ts";
import type { Maintenance } from "../maintenance/maintenance.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { Search } from "../search/search.ts";
import type { StoredQueries } from "../standing-queries/stored-queries.ts";
import type { StoreRead } from "../store/store.ts";
import { noRouteProblem, type RouteEntry } from "./allowed-methods.ts";
import type { EventStreams } from "./event-streams.ts";
import type { Health } from "./health.ts";
import type { LifeCycleSpans } from "./life-cycle-spans.ts";
import { isNdjson, takesNdjson } from "./ndjson.ts";
import { problemResponse, toProblem } from "./problem-response.ts";
import { readNumbers } from "./query-numbers.ts";
import { readJson } from "./read-body.ts";
import { scopeOf } from "./request-scope.ts";
import { aliasRoutes } from "./routes/aliases.ts";
import { backupRoutes } from "./routes/backups.ts";
import { collectionRoutes } from "./routes/collections.ts";
import { docsRoutes } from "./routes/docs.ts";
import { documentListRoutes, type DocumentListDeps } from "./routes/document-list.ts";
import { documentRoutes } from "./routes/documents.ts";
import { fileRoutes, takesFiles } from "./routes/files.ts";
import { healthRoutes } from "./routes/health.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { maintenanceRoutes } from "./routes/maintenance.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { openAiRoutes, type EmbedTexts } from "./routes/openai.ts";
import { operationsRoutes } from "./routes/operations.ts";
import { roomRoutes } from "./routes/rooms.ts";
import { searchRoutes, type SearchRouteDeps } from "./routes/search.ts";
import { standingQueryRoutes } from "./routes/standing-queries.ts";

export interface AppDeps {
  store: StoreRead;
  engines: Engines;
  collections: Collections;
  documents: Documents;
  idempotency: Idempotency;
  search: Search;
  embedTexts: EmbedTexts;
  maintenance: Maintenance;
  jobs: Jobs;
  ingest: Ingest;
  backups: Backups;
  maintenanceJobs: MaintenanceJobs;
  rooms: Rooms;
  storedQueries: StoredQueries;
  events: EventStreams;
  health: Health;
  /** Spans of the framework's own steps, where traces are detailed. */
  lifeCycleSpans?: LifeCycleSpans | undefined;
}

/** The whole HTTP surface. */
export const createApp = (deps: AppDeps) => {
  let routes: readonly RouteEntry[] = [];
  const app = createBase(() => routes, deps.lifeCycleSpans)
    .use(healthRoutes(deps))
    .use(operationsRoutes())
    .use(metricsRoutes())
    .use(collectionRoutes(deps))
    .use(aliasRoutes(deps))
    .use(documentRoutes(deps))
    .use(documentListRoutes(deps))
    .use(searchRoutes(deps))
    .use(openAiRoutes(deps))
    .use(maintenanceRoutes(deps))
    .use(roomRoutes(deps))
    .use(standingQueryRoutes(deps))
    .use(jobRoutes(deps))
    .use(fileRoutes(deps))
    .use(backupRoutes(deps))
    .use(docsRoutes());
  routes = app.routes;
  return app;
};

/** The part of the surface that computes, for an engine's process: the same routes, answered to the letter as there. */
export const createQueryApp = (
  deps: Pick<AppDeps, "embedTexts" | "lifeCycleSpans"> &
    Partial<SearchRouteDeps & DocumentListDeps>,
) => {
  const app = createBase(() => [], deps.lifeCycleSpans);
  app.use(openAiRoutes(deps));
  const { collections, search, documents } = deps;
  if (collections !== undefined && search !== undefined)
    app.use(searchRoutes({ collections, search }));
  if (collections !== undefined && documents !== undefined)
    app.use(documentListRoutes({ collections, documents }));
  return app;
};

const noSpans = new Elysia({ name: "no-spans" });

/**
 * What all routes have in common. Hooks reach only what is used after them, so problems and the body's parser come first.
 * `normalize` off: a field that we do not know is an error and is not dropped in silence.
 */
const createBase = (routes: () => readonly RouteEntry[], spans?: LifeCycleSpans) =>
  new Elysia({
    name: "slipstream",
    normalize: false,
    // Else a path is looked for eleven characters into the URL, and a host named "db" or "api" answers 404.
    handler: { standardHostname: false },
  })
    .use(spans ?? noSpans)
    .onError({ as: "global" }, ({ code, error, request, path }) => {
      const { problem, allow } =
        code === "NOT_FOUND"
          ? noRouteProblem(routes(), path)
          : { problem: toProblem(code, error), allow: undefined };
      const scope = scopeOf(request);
      scope.error = problem.code === "internal" ? (problem.cause ?? error) : problem;
      const response = problemResponse(problem, scope.requestId, path);
      if (allow !== undefined) response.headers.set("allow", allow);
      return response;
    })
    .onParse({ as: "global" }, ({ request, path }) =>
      (isNdjson(request) && takesNdjson(path)) || takesFiles(path) ? null : readJson(request),
    )
    .onTransform({ as: "global" }, ({ query }) => readNumbers(query));
