import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildHere } from "../../src/segments/build.ts";
import type { SealSizes } from "../../src/segments/merge-policy.ts";
import { SegmentSet } from "../../src/segments/segment-set.ts";
import { SegmentedVectors, type VectorSegmentSet } from "../../src/vectors/segmented-vectors.ts";
import { createVectorKind, type VectorKindOptions } from "../../src/vectors/vector-kind.ts";

/** Seals whenever it is asked to, however few vectors there are. */
const sizesAlways: SealSizes = {
  deltaRows: 1,
  deltaBytes: Infinity,
  fillMs: 0,
  segmentRows: 1_000_000,
};

/** An index in a folder, with its set at hand, so that a test can say when it seals. */
export interface Segmented extends AsyncDisposable {
  index: SegmentedVectors;
  set: VectorSegmentSet;
  /** Of the segments' files. */
  folder: string;
  /** Tells the set of a write, so that it seals in the background. */
  wrote: () => void;
  /** Seals the delta and merges by the policy of the set. */
  seal: () => Promise<void>;
}

/** A new folder that is removed when it is disposed. */
export function temporaryFolder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "slipstream-vectors-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Opens what is sealed in a folder, or a new index. */
export async function openSegmented(
  root: string,
  options: VectorKindOptions,
  sizes = sizesAlways,
): Promise<Segmented> {
  const kind = await createVectorKind(options);
  const folder = join(root, "indexes", "vectors");
  const run = buildHere(kind);
  const set: VectorSegmentSet = new SegmentSet({
    folder,
    kind,
    epoch: "test",
    sequenceMax: Number.MAX_SAFE_INTEGER,
    run,
    sizes,
  });
  const index = new SegmentedVectors(options.dimensions, set);
  set.start();
  let sequence = set.sequence;
  const wrote = (): void => set.applied(++sequence);
  const seal = async (): Promise<void> => {
    wrote();
    await set.settled();
  };
  return {
    index,
    set,
    folder,
    wrote,
    seal,
    [Symbol.asyncDispose]: () => index[Symbol.asyncDispose](),
  };
}
