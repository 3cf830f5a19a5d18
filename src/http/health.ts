import { statfs } from "node:fs/promises";
import type {
  Checks,
  HealthSchema,
  HealthWord,
  Readiness,
  StartupSchema,
} from "../contract/health.ts";
import type { Static } from "@sinclair/typebox";
import type { IndexReport } from "../engine/collection-index.ts";
import type { Engines } from "../engine/engines.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { valueWithin } from "../lib/within.ts";
import type { DataDirectoryStore } from "../store/local/local-store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { VERSION } from "../version.ts";
import type { Lifecycle } from "./lifecycle.ts";

const log = getLogger("health");

/** A database slower than this is degraded; slower than ten times this, unhealthy. */
const LATENCY_MS_DEGRADED = 100;
const LATENCY_MS_UNHEALTHY = 1000;

/** Longest wait for one part: what is slower than an unhealthy database need not be waited for. */
const CHECK_MS_MAX = LATENCY_MS_UNHEALTHY + 100;

/** What is asked. Nothing of them but numbers is shown. */
export interface HealthParts {
  store: Pick<DataDirectoryStore, "ping" | "pendingTotal" | "waiting" | "isWritable">;
  engines: Pick<Engines, "reports" | "states" | "embeddingFails">;
  jobs: Pick<Jobs, "workers">;
  /** Folders of the data, and the room that stays free on their disks. */
  folders: readonly string[];
  freeBytesMin: number;
  /** The least uptime at which a start is complete. */
  startupMsMin: number;
  /** Whether `checks` are shown to whoever asks. */
  isDetailShown: boolean;
}

/** What probes are told. */
export interface Health {
  /** Worst of all parts; unhealthy while the server starts or stops. */
  ready(): Promise<Readiness>;
  startup(): Promise<Static<typeof StartupSchema>>;
  report(): Promise<Static<typeof HealthSchema>>;
  /** The parts are open: they are asked from here on. */
  watch(parts: HealthParts): void;
}

export interface HealthOptions {
  lifecycle: Lifecycle;
  /** Milliseconds that never go back; the process's by default. */
  nowMs?: () => number;
}

/** How the server and its parts are. Its uptime counts from here. */
export function createHealth({
  lifecycle,
  nowMs = () => performance.now(),
}: HealthOptions): Health {
  const startMs = nowMs();
  const started_at = new Date().toISOString();
  const uptimeMs = (): number => nowMs() - startMs;
  let watched: { parts: HealthParts; look: () => Promise<Checks> } | undefined;
  const ready = async (): Promise<Readiness> => {
    const start = performance.now();
    const timestamp = new Date().toISOString();
    const checks = await watched?.look();
    const isServing = lifecycle.state === "ready" && checks !== undefined;
    const status = isServing ? worstOf(Object.values(checks)) : "unhealthy";
    const shown = watched?.parts.isDetailShown === true && checks !== undefined ? { checks } : {};
    return { status, timestamp, ...shown, duration_ms: rounded(performance.now() - start) };
  };
  return {
    ready,
    async startup() {
      const isComplete =
        watched !== undefined &&
        lifecycle.state !== "starting" &&
        uptimeMs() >= watched.parts.startupMsMin &&
        (await databaseCheck(watched.parts.store)).status !== "unhealthy";
      return {
        status: isComplete ? "started" : "starting",
        timestamp: new Date().toISOString(),
        started_at,
        uptime_seconds: rounded(uptimeMs() / 1000),
        steps: [...lifecycle.steps],
      };
    },
    async report() {
      const uptime_seconds = rounded(uptimeMs() / 1000);
      return { ...(await ready()), version: VERSION.version, started_at, uptime_seconds };
    },
    watch(parts) {
      watched = { parts, look: createLook(parts) };
    },
  };
}

/** Healthy below 100 ms, unhealthy above 1000 ms, degraded between, both borders included. */
export function latencyStatus(latencyMs: number): HealthWord {
  if (latencyMs > LATENCY_MS_UNHEALTHY) return "unhealthy";
  return latencyMs < LATENCY_MS_DEGRADED ? "healthy" : "degraded";
}

/** What several parts are together: as bad as the worst of them. */
export function worstOf(checks: readonly { status: HealthWord }[]): HealthWord {
  const words = checks.map(({ status }) => status);
  if (words.includes("unhealthy")) return "unhealthy";
  return words.includes("degraded") ? "degraded" : "healthy";
}

/** Looks at all parts. What comes while that is under way is given the same, so that probes in a rush cost no more. */
function createLook(parts: HealthParts): () => Promise<Checks> {
  const tell = createTeller();
  let looking: Promise<Checks> | undefined;
  return () =>
    (looking ??= lookAt(parts)
      .then(tell)
      .finally(() => (looking = undefined)));
}

async function lookAt({ store, engines, jobs, ...disks }: HealthParts): Promise<Checks> {
  const [database, reports, pending, workers, disk] = await Promise.all([
    databaseCheck(store),
    asked(() => engines.reports()),
    asked(() => store.pendingTotal()),
    asked(() => jobs.workers()),
    diskCheck(disks),
  ]);
  return {
    database,
    index: indexCheck(reports),
    embedder: {
      status: pending === undefined || engines.embeddingFails() ? "degraded" : "healthy",
      pending_embeddings: pending ?? 0,
    },
    engines: enginesCheck(engines.states()),
    writer: {
      status: store.isWritable ? "healthy" : "unhealthy",
      waiting_documents: store.waiting.documents,
      waiting_bytes: store.waiting.bytes,
    },
    workers: {
      status: workers === undefined ? "degraded" : "healthy",
      ...(workers ?? { total: 0, busy: 0, queued: 0 }),
    },
    disk,
  };
}

/** Undefined where a part fails or does not answer in time: its reason is the log's, and its number what probes see. */
async function asked<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await valueWithin(CHECK_MS_MAX, ask());
  } catch {
    return undefined;
  }
}

async function databaseCheck({ ping }: Pick<HealthParts["store"], "ping">) {
  const latencyMs = await asked(ping);
  if (latencyMs === undefined)
    return { status: "unhealthy" as const, latency_ms: 0, responsive: false };
  return { status: latencyStatus(latencyMs), latency_ms: rounded(latencyMs), responsive: true };
}

/** An index that is being made again answers with what it has so far. */
function indexCheck(reports: readonly IndexReport[] | undefined): Checks["index"] {
  if (reports === undefined) return { status: "degraded", vectors: 0 };
  const isWhole = reports.every(({ catchingUp, failures }) => !catchingUp && failures === 0);
  const vectors = reports.reduce((sum, report) => sum + report.vectors, 0);
  return { status: isWhole ? "healthy" : "degraded", vectors };
}

/** One that ended is started again, and the others have its work meanwhile. */
function enginesCheck(states: readonly { state: "ready" | "starting" }[]): Checks["engines"] {
  const total = states.length;
  const ready = states.filter(({ state }) => state === "ready").length;
  if (ready === total) return { status: "healthy", total, ready };
  return { status: ready === 0 ? "unhealthy" : "degraded", total, ready };
}

/** Below the bound writes are refused, and reading goes on. */
async function diskCheck({
  folders,
  freeBytesMin,
}: Pick<HealthParts, "folders" | "freeBytesMin">): Promise<Checks["disk"]> {
  const free = await asked(() => Promise.all(folders.map(freeBytes)));
  if (free === undefined)
    return { status: "unhealthy", free_bytes: 0, free_bytes_min: freeBytesMin };
  const free_bytes = Math.min(...free);
  const status = free_bytes < freeBytesMin ? "degraded" : "healthy";
  return { status, free_bytes, free_bytes_min: freeBytesMin };
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Logs each part that is no longer healthy, and that it is again: once each, however often probes ask. */
function createTeller(): (checks: Checks) => Checks {
  const known = new Map<string, HealthWord>();
  return (checks) => {
    for (const [check, { status, ...fields }] of Object.entries(checks)) {
      if (status === (known.get(check) ?? "healthy")) continue;
      known.set(check, status);
      if (status === "healthy") log.info("health.recovered", { check, ...fields });
      else log.warning("health.degraded", { check, status, ...fields });
    }
    return checks;
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
