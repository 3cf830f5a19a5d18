import { join } from "node:path";
import type { EngineOptions } from "../../src/engine/engine.ts";
import type { OwnerRole } from "../../src/engine/collection-index.ts";

/** Budgets that no test reaches. */
export const NO_BUDGETS: EngineOptions["budgets"] = {
  memoryBytesMax: Infinity,
  collectionMemoryBytesMax: Infinity,
  diskFreeBytesMin: 0,
};

/** An owner of index files that builds in this thread; the store's log is not cut off by it. */
export const OWNER: OwnerRole = { kind: "owner", onSealed: () => {} };

/** An engine in this process: plain TypeScript, index files beside the database of a data directory. */
export function engineOptions(dataDir: string): EngineOptions {
  return {
    folder: join(dataDir, "index"),
    vectorEngine: "exact",
    keywordIndex: "postings",
    budgets: NO_BUDGETS,
    role: OWNER,
  };
}
