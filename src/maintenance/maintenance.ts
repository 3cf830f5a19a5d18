import type { CompactReport, VerifyReport } from "../contract/maintenance.ts";
import type { Engines } from "../engine/engines.ts";
import type { Store } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { verify } from "./verify.ts";

const log = getLogger("maintenance");

/** For whoever follows a compaction, and may want it to end early. */
export interface CompactOptions {
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** What an operator does to data that is there. */
export function createMaintenance({ store, engines }: { store: Store; engines: Engines }) {
  const sizes = async (): Promise<{ bytes: number; segments: number }> => {
    let [bytes, segments] = [await store.diskBytes(), 0];
    for (const report of await engines.reports()) {
      bytes += report.diskBytes;
      segments += report.segments;
    }
    return { bytes, segments };
  };
  return {
    async verify(): Promise<VerifyReport> {
      const report = await verify(store, engines);
      log.info("maintenance.verified", { ok: report.ok, duration_ms: report.duration_ms });
      return report;
    },
    /**
     * Merges segments until none has a dead row, and gives free pages of the database back. Searches go on. The signal ends
     * it between two collections.
     */
    async compact({ signal, onProgress }: CompactOptions = {}): Promise<CompactReport> {
      const start = performance.now();
      const { bytes: bytes_before } = await sizes();
      const collections = await store.collections();
      for (const [index, { key }] of collections.entries()) {
        signal?.throwIfAborted();
        onProgress?.(index, collections.length);
        await engines.compact(key);
      }
      onProgress?.(collections.length, collections.length);
      await store.giveBack();
      const { bytes: bytes_after, segments } = await sizes();
      const duration_ms = Math.round(performance.now() - start);
      log.info("maintenance.compacted", { bytes_before, bytes_after, duration_ms });
      return { collections: collections.length, segments, bytes_before, bytes_after, duration_ms };
    },
  };
}

export type Maintenance = ReturnType<typeof createMaintenance>;
