import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type { EngineOptions } from "../engine/engine.ts";
import type { Budgets } from "../engine/indexes.ts";

const MEGABYTE = 1024 * 1024;

/** Past this many engines a machine has other things to do with its cores. */
const enginesMax = 8;

/** What the configuration says of an engine, whatever process it runs in. */
export function engineOptionsOf(config: Config): Omit<EngineOptions, "role"> {
  return {
    folder: config.indexPath ?? join(config.dataDir, "index"),
    vectorEngine: config.vectorIndex,
    keywordIndex: config.keywordIndex,
    budgets: budgetsOf(config),
  };
}

/** Query engines: one a core, since each has a thread's worth of work and the front has little. */
export function engineCount({ engines }: Config): number {
  return engines ?? Math.min(enginesMax, Math.max(1, availableParallelism()));
}

/** Bytes that the indexes may take. */
function budgetsOf(config: Config): Budgets {
  return {
    memoryBytesMax:
      config.indexMemoryMegabytes === 0 ? totalmem() / 2 : config.indexMemoryMegabytes * MEGABYTE,
    collectionMemoryBytesMax: config.collectionMemoryMegabytes * MEGABYTE || Infinity,
    diskFreeBytesMin: config.diskFreeMegabytes * MEGABYTE,
  };
}
