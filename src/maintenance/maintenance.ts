import type { CompactReport, VerifyReport } from "../contract/maintenance.ts";
import type { Engine } from "../engine/engine.ts";
import type { Store } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { verify } from "./verify.ts";

const log = getLogger("maintenance");

/** What an operator does to data that is there. */
export function createMaintenance({ store, engine }: { store: Store; engine: Engine }) {
  const bytes = async (): Promise<number> =>
    (await store.diskBytes()) +
    engine.indexReports().reduce((sum, { diskBytes }) => sum + diskBytes, 0);
  return {
    async verify(): Promise<VerifyReport> {
      const report = await verify(store, engine);
      log.info("maintenance.verified", { ok: report.ok, duration_ms: report.duration_ms });
      return report;
    },
    /** Merges segments until none has a dead row, and gives free pages of the database back. Searches go on. */
    async compact(): Promise<CompactReport> {
      const start = performance.now();
      const bytes_before = await bytes();
      const collections = await store.collections();
      for (const collection of collections) await engine.findIndex(collection)?.compact();
      await store.giveBack();
      const segments = engine.indexReports().reduce((sum, one) => sum + one.segments, 0);
      const bytes_after = await bytes();
      const duration_ms = Math.round(performance.now() - start);
      log.info("maintenance.compacted", { bytes_before, bytes_after, duration_ms });
      return { collections: collections.length, segments, bytes_before, bytes_after, duration_ms };
    },
  };
}

export type Maintenance = ReturnType<typeof createMaintenance>;
