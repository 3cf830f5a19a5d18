import { join } from "node:path";
import type { Collections } from "../collections/collections.ts";
import type { Config } from "../config.ts";
import type { Documents } from "../documents/documents.ts";
import type { Engines } from "../engine/engines.ts";
import { createIngest, type Ingest } from "../ingest/ingest.ts";
import { createJobs, type Jobs } from "../jobs/jobs.ts";
import { runTask } from "../jobs/task-process.ts";
import { tellRooms } from "../jobs/tell-rooms.ts";
import { createBackups, type Backups } from "../maintenance/backups.ts";
import { createMaintenanceJobs, type MaintenanceJobs } from "../maintenance/maintenance-jobs.ts";
import { createMaintenance, type Maintenance } from "../maintenance/maintenance.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { Store } from "../store/store.ts";

interface WorkDeps {
  store: Store;
  engines: Engines;
  collections: Collections;
  documents: Documents;
  rooms: Rooms;
}

/** Jobs, and the features that put some into the queue. */
export interface Work extends AsyncDisposable {
  jobs: Jobs;
  ingest: Ingest;
  backups: Backups;
  maintenance: Maintenance;
  maintenanceJobs: MaintenanceJobs;
  /** Clears up after the process before, takes over its jobs and begins. */
  start(): Promise<void>;
}

/** Every kind of job is made known here, before the first one runs. */
export function createWork(
  config: Pick<Config, "dataDir" | "jobWorkers" | "backupsKeep">,
  { store, engines, collections, documents, rooms }: WorkDeps,
): Work {
  const { dataDir, jobWorkers: workers, backupsKeep: keep } = config;
  const jobs = createJobs({ store, workers });
  tellRooms(jobs, rooms);
  const uploads = join(dataDir, "uploads");
  const ingest = createIngest({ jobs, collections, documents, folder: uploads, runTask });
  const backups = createBackups({ jobs, folder: dataDir, keep, runTask });
  const maintenance = createMaintenance({ store, engines });
  const maintenanceJobs = createMaintenanceJobs({ jobs, store, engines, maintenance, collections });
  return {
    jobs,
    ingest,
    backups,
    maintenance,
    maintenanceJobs,
    async start() {
      backups.open();
      await ingest.open();
      await jobs.start();
    },
    [Symbol.asyncDispose]: () => jobs[Symbol.asyncDispose](),
  };
}
