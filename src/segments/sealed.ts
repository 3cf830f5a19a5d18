import { renameSync } from "node:fs";
import { join } from "node:path";
import type { BuiltSegment } from "./build.ts";
import { removePath } from "./files.ts";
import type { StoredFile, StoredSegment } from "./manifest.ts";
import { RowSet } from "./row-set.ts";
import type { Delta, OpenSegment, SegmentKind } from "./segment-kind.ts";

/** A sealed segment that serves. */
export interface Sealed<Segment> {
  segment: Segment;
  dead: RowSet;
  stored: StoredSegment;
}

/** A delta on its way into a segment. */
export interface Frozen<D> {
  delta: D;
  dead: Set<number>;
  /** Every change up to this number is in this delta or in older parts. */
  sequence: number;
}

/** What went into a new segment, with the rows that were dead when it was begun. */
export interface Replaced<Segment, D> {
  merged: Sealed<Segment>[];
  deadBefore: RowSet[];
  frozen: Frozen<D>[];
}

/** Paths of a segment's files by role. */
export function pathsIn(folder: string, { files }: StoredSegment): Record<string, string> {
  const paths: Record<string, string> = {};
  for (const [role, { name }] of Object.entries(files)) paths[role] = join(folder, name);
  return paths;
}

/** Gives a new segment's files the names of their content and opens them. The manifest's write syncs the folder. */
export function adoptFiles<Segment extends OpenSegment>(
  { folder, kind }: { folder: string; kind: SegmentKind<Segment, Delta> },
  { rows, dead, files }: BuiltSegment,
): Sealed<Segment> {
  const named: Record<string, StoredFile> = {};
  for (const [role, { path, bytes, hash }] of Object.entries(files)) {
    const name = `${hash}.${role}`;
    renameSync(path, join(folder, name));
    named[role] = { name, bytes, hash };
  }
  const stored: StoredSegment = { rows, files: named, dead: "" };
  const segment = kind.open(pathsIn(folder, stored));
  return { segment, dead: new RowSet(rows, dead.length > 0 ? dead.slice() : undefined), stored };
}

/**
 * Closes segments and removes their files, but those that one that serves has too. The manifest must not name them any
 * more: a crash from here on leaves files that the next start removes.
 */
export function retireFiles(
  folder: string,
  retired: readonly Sealed<OpenSegment>[],
  serving: readonly Sealed<OpenSegment>[],
): void {
  const kept = new Set(
    serving.flatMap(({ stored }) => Object.values(stored.files).map(({ name }) => name)),
  );
  for (const { segment, stored } of retired) {
    segment.close();
    for (const { name } of Object.values(stored.files)) {
      if (!kept.has(name)) removePath(join(folder, name));
    }
  }
}

/** What was removed from the old parts while the new segment was built is dead in it too. */
export function buryLateDead<Segment extends OpenSegment, D extends Delta>(
  added: Sealed<Segment>,
  {
    merged,
    deadBefore,
    frozen,
  }: { merged: Sealed<Segment>[]; deadBefore: RowSet[]; frozen: Frozen<D>[] },
): void {
  const bury = (key: number): void => {
    const row = added.segment.rowOf(key);
    if (row >= 0) added.dead.add(row);
  };
  for (const [at, { segment, dead }] of merged.entries()) {
    if (dead.size === deadBefore[at]?.size) continue;
    for (let row = 0; row < segment.rows; row++) {
      if (dead.has(row) && deadBefore[at]?.has(row) === false) bury(segment.keyAt(row));
    }
  }
  for (const { dead } of frozen) for (const key of dead) bury(key);
}
