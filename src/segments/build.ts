import { assert } from "../problems.ts";
import { syncPath } from "../lib/sync-path.ts";
import { hashFile, sizeOf } from "./files.ts";
import { runSteps } from "./run-steps.ts";
import type { BuildJob, Delta, OpenSegment, SegmentKind, Steps } from "./segment-kind.ts";

/** A file that is written, checked and on the disk, still under its temporary name. */
export interface BuiltFile {
  path: string;
  bytes: number;
  hash: string;
}

/** A segment that can be taken over. Plain data, so that another process can have made it. */
export interface BuiltSegment {
  rows: number;
  /** Bits of rows that are dead although they are there. */
  dead: Uint8Array;
  files: Record<string, BuiltFile>;
}

/** Builds a segment, in this process or another one. Rejects when the signal is aborted. */
export type RunBuild = (job: BuildJob, signal: AbortSignal) => Promise<BuiltSegment>;

/** Builds a segment, opens it once to see that it can be, and puts it on the disk. */
export function* buildSegment(
  kind: SegmentKind<OpenSegment, Delta>,
  job: BuildJob,
): Steps<BuiltSegment> {
  const { rows, dead, files } = yield* kind.build(job);
  const opened = kind.open(files);
  try {
    assert(opened.rows === rows, "a segment has the rows that were written");
  } finally {
    opened.close();
  }
  const built: Record<string, BuiltFile> = {};
  for (const [role, path] of Object.entries(files)) {
    const hash = yield* hashFile(path);
    yield;
    syncPath(path);
    built[role] = { path, bytes: sizeOf(path), hash };
    yield;
  }
  return { rows, dead, files: built };
}

/** Builds in this process, between its other work. */
export function buildHere(kind: SegmentKind<OpenSegment, Delta>): RunBuild {
  return (job, signal) => runSteps(buildSegment(kind, job), signal);
}
