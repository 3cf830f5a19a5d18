import { Type } from "@sinclair/typebox";

const StatusSchema = Type.Union([
  Type.Literal("healthy"),
  Type.Literal("degraded"),
  Type.Literal("unhealthy"),
]);

export const LiveSchema = Type.Object({
  status: Type.Literal("healthy"),
  timestamp: Type.String(),
});

export const StartupSchema = Type.Object(
  {
    status: Type.Union([Type.Literal("starting"), Type.Literal("started")]),
    timestamp: Type.String(),
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

export const ReadySchema = Type.Object(
  {
    status: StatusSchema,
    timestamp: Type.String(),
    checks: Type.Object({
      database: Type.Object({
        status: StatusSchema,
        latency_ms: Type.Number(),
        responsive: Type.Boolean(),
      }),
      index: Type.Object({ status: StatusSchema, vectors: Type.Integer() }),
      embedder: Type.Object({ status: StatusSchema, pending_embeddings: Type.Integer() }),
    }),
    duration_ms: Type.Number(),
  },
  { title: "Readiness" },
);

export const VersionSchema = Type.Object({
  name: Type.String(),
  version: Type.String(),
  commit: Type.String(),
  built_at: Type.Union([Type.String(), Type.Null()]),
  bun: Type.String(),
});
