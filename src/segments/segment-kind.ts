import type { RowSet } from "./row-set.ts";

/** Role of a file in a segment -> its path. */
export type SegmentFiles = Readonly<Record<string, string>>;

/** What a segment was built with and for; one whose facts are not those wanted is never opened. */
export type SegmentFacts = Readonly<Record<string, string | number>>;

/** Work in small steps: whoever runs it may do something else between two of them. A step takes a millisecond or so. */
export type Steps<T> = Generator<undefined, T>;

/** A sealed segment: read-only, mapped. Rows are numbered 0…rows - 1 and each has a key of its own. */
export interface OpenSegment {
  readonly rows: number;
  keyAt(row: number): number;
  /** The row of a key, -1 where the segment does not have it. O(log rows). */
  rowOf(key: number): number;
  /** Heap bytes held beside the mapped files. */
  readonly heapBytes: number;
  /** Gives memory and descriptors back. Nobody searches it any more. */
  close(): void;
}

/** The part of an index that is in memory. Once frozen, rows are neither added nor removed. */
export interface Delta {
  /** Rows that can be found. */
  readonly size: number;
  /** Rows that take memory: removed ones may until the delta is sealed. */
  readonly rows: number;
  /** Heap bytes held. */
  readonly bytes: number;
  has(key: number): boolean;
  /** True if it was there. */
  remove(key: number): boolean;
  keys(): Iterable<number>;
  /** Writes the rows as files of a segment into a folder that exists, those files that need no building. */
  dump(folder: string): Steps<SegmentFiles>;
}

/** A segment, or a delta's dump, that goes into a new segment. */
export interface BuildSource {
  files: SegmentFiles;
  /** Bits of its dead rows, as in `RowSet`; empty for none. */
  dead: Uint8Array;
  /** Rows, dead ones included. */
  rows: number;
}

/** One segment to be made out of others. Plain data: it may be done by another process. */
export interface BuildJob {
  /** Name of the kind. */
  kind: string;
  facts: SegmentFacts;
  sources: readonly BuildSource[];
  /** An empty folder for the new files. */
  folder: string;
}

/** New files, and the rows among them that are dead although they are there. */
export interface Built {
  rows: number;
  files: SegmentFiles;
  dead: Uint8Array;
}

/** What tells vectors from words. */
export interface SegmentKind<Segment extends OpenSegment, D extends Delta> {
  readonly name: string;
  readonly facts: SegmentFacts;
  createDelta(): D;
  /** Opens files whose size and hash have been checked. @throws where they are not what the facts say */
  open(files: SegmentFiles): Segment;
  /** Merges the live rows of all sources. */
  build(job: BuildJob): Steps<Built>;
}

/** A sealed segment with its dead rows. */
export interface SealedPart<Segment extends OpenSegment> {
  readonly segment: Segment;
  readonly dead: RowSet;
}

/** A delta that is being sealed, with keys that were removed or replaced since it was frozen. */
export interface FrozenPart<D extends Delta> {
  readonly delta: D;
  readonly dead: ReadonlySet<number>;
}

/** All parts of an index, as a search finds them. A key is live in one of them at most. */
export interface Parts<Segment extends OpenSegment, D extends Delta> {
  readonly sealed: readonly SealedPart<Segment>[];
  readonly frozen: readonly FrozenPart<D>[];
  readonly active: D;
}
