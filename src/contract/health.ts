import { Type, type Static } from "@sinclair/typebox";

export const HealthWordSchema = Type.Union([
  Type.Literal("healthy"),
  Type.Literal("degraded"),
  Type.Literal("unhealthy"),
]);

/** How a part is, or all of them together. */
export type HealthWord = Static<typeof HealthWordSchema>;

export const LiveSchema = Type.Object({
  status: Type.Literal("healthy"),
  timestamp: Type.String(),
});

const UptimeSchema = Type.Number({ description: "Since the program began" });

export const StartupSchema = Type.Object(
  {
    status: Type.Union([Type.Literal("starting"), Type.Literal("started")]),
    timestamp: Type.String(),
    started_at: Type.String(),
    uptime_seconds: UptimeSchema,
    steps: Type.Array(
      Type.Object({
        name: Type.String(),
        start_ms: Type.Number({ description: "Since the process began" }),
        duration_ms: Type.Number(),
      }),
    ),
  },
  { title: "Startup" },
);

const ChecksSchema = Type.Object({
  database: Type.Object({
    status: HealthWordSchema,
    latency_ms: Type.Number(),
    responsive: Type.Boolean(),
  }),
  index: Type.Object({ status: HealthWordSchema, vectors: Type.Integer() }),
  embedder: Type.Object({ status: HealthWordSchema, pending_embeddings: Type.Integer() }),
  engines: Type.Object({
    status: HealthWordSchema,
    total: Type.Integer({ description: "0 where everything is computed in the server's process" }),
    ready: Type.Integer(),
  }),
  writer: Type.Object({
    status: HealthWordSchema,
    waiting_documents: Type.Integer({ description: "Documents that wait to be committed" }),
    waiting_bytes: Type.Integer(),
  }),
  workers: Type.Object({
    status: HealthWordSchema,
    total: Type.Integer({ description: "Jobs that run at once at most" }),
    busy: Type.Integer(),
    queued: Type.Integer({ description: "Jobs that wait" }),
  }),
  disk: Type.Object({
    status: HealthWordSchema,
    free_bytes: Type.Integer(),
    free_bytes_min: Type.Integer({ description: "Below it writes are refused" }),
  }),
});

/** The parts of the server by their names. */
export type Checks = Static<typeof ChecksSchema>;

const readiness = {
  status: HealthWordSchema,
  timestamp: Type.String(),
  checks: Type.Optional(ChecksSchema),
  duration_ms: Type.Number(),
};

/** `checks` is not there while the parts are being opened, nor where HEALTH_DETAIL is off. */
export const ReadySchema = Type.Object(readiness, { title: "HealthStatus" });

export type Readiness = Static<typeof ReadySchema>;

export const HealthSchema = Type.Object(
  {
    ...readiness,
    version: Type.String(),
    started_at: Type.String(),
    uptime_seconds: UptimeSchema,
  },
  { title: "HealthReport" },
);

export const VersionSchema = Type.Object({
  name: Type.String(),
  version: Type.String(),
  commit: Type.String(),
  built_at: Type.Union([Type.String(), Type.Null()]),
  bun: Type.String(),
});
