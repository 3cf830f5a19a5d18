import type { Sealed } from "./sealed.ts";
import type { Delta, OpenSegment, Parts } from "./segment-kind.ts";

/** How an index is. */
export interface SegmentReport extends BuildTotals {
  segments: number;
  /** Rows that are found. */
  live: number;
  /** Dead rows in sealed segments: their space comes back when these are written anew. */
  dead: number;
  /** Rows that are only in memory. */
  unsealed: number;
  unsealedBytes: number;
  diskBytes: number;
  reclaimableBytes: number;
  heapBytes: number;
  /** A build is under way. */
  building: boolean;
  /** The last builds failed so many times in a row. */
  failures: number;
}

/** What the builds of an index have done so far. */
export interface BuildTotals {
  /** Rows that go into the build under way, 0 for none. */
  buildingRows: number;
  /** Since the start: builds, the rows that they wrote, and the milliseconds that they took. */
  builds: number;
  builtRows: number;
  builtMs: number;
}

/** The part of a report that the parts of an index tell. */
export function reportParts(
  { active, frozen }: Parts<OpenSegment, Delta>,
  allSealed: readonly Sealed<OpenSegment>[],
): Omit<SegmentReport, "building" | "failures" | keyof BuildTotals> {
  const report = { segments: allSealed.length, live: active.size, dead: 0, unsealed: active.size };
  const bytes = { unsealedBytes: active.bytes, diskBytes: 0, reclaimableBytes: 0, heapBytes: 0 };
  for (const { delta, dead } of frozen) {
    report.live += delta.size - dead.size;
    report.unsealed += delta.size;
    bytes.unsealedBytes += delta.bytes;
  }
  for (const { segment, dead, stored } of allSealed) {
    const diskBytes = Object.values(stored.files).reduce((sum, file) => sum + file.bytes, 0);
    report.live += segment.rows - dead.size;
    report.dead += dead.size;
    bytes.diskBytes += diskBytes;
    bytes.reclaimableBytes += Math.round((diskBytes * dead.size) / Math.max(1, segment.rows));
    bytes.heapBytes += segment.heapBytes + dead.bits.byteLength;
  }
  bytes.heapBytes += bytes.unsealedBytes;
  return { ...report, ...bytes };
}
