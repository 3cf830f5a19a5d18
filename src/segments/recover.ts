import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { getLogger } from "../telemetry/logs.ts";
import { hashFile, readIfThere, removePath, sizeOf } from "./files.ts";
import { MANIFEST_NAME, readManifest, type Manifest, type StoredSegment } from "./manifest.ts";
import { RowSet } from "./row-set.ts";
import { finishSteps } from "./run-steps.ts";
import type { Delta, OpenSegment, SegmentKind } from "./segment-kind.ts";

const log = getLogger("index");

/** Names what is being opened: found at a start, it says that opening it ended the process. */
const SENTINEL_NAME = "opening.json";

/** Folder, beside those of the indexes, for what is not trusted. */
const QUARANTINE_NAME = "quarantine";

/** Things kept in quarantine, for a person to look at; the oldest go first. */
const quarantinedMax = 8;

/** A name that only this room gives: content hash and role, or a build's folder. */
const OWN_NAME = /^([0-9a-f]{16}\.[a-z]+|building-[\d-]+|manifest\.json\.tmp)$/;

export interface RecoveredSegment<Segment> {
  segment: Segment;
  dead: RowSet;
  stored: StoredSegment;
}

export interface Recovered<Segment> {
  segments: RecoveredSegment<Segment>[];
  /** Every change up to this number is in the segments. */
  sequence: number;
  /** Something that should be there is not: only a comparison with the database tells what is missing. */
  incomplete: boolean;
}

interface RecoverOptions<Segment extends OpenSegment> {
  folder: string;
  kind: SegmentKind<Segment, Delta>;
  epoch: string;
  sequenceMax: number;
}

/**
 * Opens what a folder's manifest lists. Size, hash and facts are checked before anything is opened; what does not pass
 * is put aside, and what belongs to nobody is removed. Afterwards the folder holds the manifest's files and no others.
 */
export function recover<Segment extends OpenSegment>(
  options: RecoverOptions<Segment>,
): Recovered<Segment> {
  const { folder } = options;
  mkdirSync(folder, { recursive: true });
  const suspects = readSuspects(folder);
  const manifest = trustedManifest(options);
  const segments: RecoveredSegment<Segment>[] = [];
  for (const stored of manifest?.segments ?? []) {
    const opened = openStored(options, stored, suspects);
    if (opened !== undefined) segments.push(opened);
  }
  removePath(join(folder, SENTINEL_NAME));
  removeStrangers(folder, segments);
  return {
    segments,
    sequence: manifest?.sequence ?? 0,
    incomplete: manifest === undefined || segments.length < manifest.segments.length,
  };
}

/** Names of files whose opening did not return. */
function readSuspects(folder: string): Set<string> {
  const text = readIfThere(join(folder, SENTINEL_NAME));
  return new Set(text === undefined ? [] : text.split("\n"));
}

/** The manifest, if it is whole and of this database and these facts. */
function trustedManifest({
  folder,
  kind,
  epoch,
  sequenceMax,
}: RecoverOptions<OpenSegment>): Manifest | undefined {
  const path = join(folder, MANIFEST_NAME);
  const manifest = readManifest(path);
  if (manifest === "missing") return undefined;
  if (manifest === "damaged") {
    quarantine(path, "its hash is not that of its content");
    return undefined;
  }
  const isOurs = manifest.epoch === epoch && manifest.sequence <= sequenceMax;
  if (!isOurs || !Bun.deepEquals(manifest.facts, kind.facts, true)) {
    // Nothing is wrong with it: another database, model, library or setting made it.
    log.info("index.outdated", { folder, facts: manifest.facts });
    return undefined;
  }
  return manifest;
}

function openStored<Segment extends OpenSegment>(
  { folder, kind }: RecoverOptions<Segment>,
  stored: StoredSegment,
  suspects: ReadonlySet<string>,
): RecoveredSegment<Segment> | undefined {
  const paths: Record<string, string> = {};
  for (const [role, file] of Object.entries(stored.files)) {
    paths[role] = join(folder, file.name);
    const why = suspects.has(file.name)
      ? "the process ended while it was opened"
      : damageOf(paths[role], file);
    if (why !== undefined) return discard(folder, stored, why);
  }
  try {
    const segment = openGuarded(folder, () => kind.open(paths), Object.values(paths));
    if (segment.rows !== stored.rows) {
      segment.close();
      return discard(folder, stored, "it has another number of rows than the manifest says");
    }
    const dead = new RowSet(segment.rows, Uint8Array.fromBase64(stored.dead));
    return { segment, dead, stored };
  } catch (error) {
    return discard(folder, stored, error instanceof Error ? error.message : String(error));
  }
}

/** What is wrong with a file, if anything is. */
function damageOf(path: string, { bytes, hash }: { bytes: number; hash: string }) {
  const size = sizeOf(path);
  if (size < 0) return "a file is missing";
  if (size !== bytes) return `it has ${size} bytes instead of ${bytes}`;
  try {
    return finishSteps(hashFile(path)) === hash ? undefined : "its hash is another one";
  } catch (error) {
    return `it cannot be read: ${String(error)}`;
  }
}

/** A native library that is given bad bytes may end the process: the next start then knows what was being opened. */
function openGuarded<T>(folder: string, open: () => T, paths: readonly string[]): T {
  const sentinel = join(folder, SENTINEL_NAME);
  // Not synced: it must outlive the process, and need not outlive the machine.
  writeFileSync(sentinel, paths.map((path) => basename(path)).join("\n"));
  const opened = open();
  removePath(sentinel);
  return opened;
}

/** Puts a segment's files aside. */
function discard(folder: string, stored: StoredSegment, why: string): undefined {
  for (const { name } of Object.values(stored.files)) {
    if (sizeOf(join(folder, name)) >= 0) quarantine(join(folder, name), why);
  }
  log.warning("index.segment_damaged", { folder, rows: stored.rows, why });
}

/** Everything in the folder that the index did not open. */
function removeStrangers(folder: string, segments: readonly { stored: StoredSegment }[]): void {
  const known = new Set([MANIFEST_NAME]);
  for (const { stored } of segments) {
    for (const { name } of Object.values(stored.files)) known.add(name);
  }
  for (const name of readdirSync(folder)) {
    if (known.has(name)) continue;
    const path = join(folder, name);
    if (OWN_NAME.test(name)) removePath(path);
    else quarantine(path, "it is no file of an index");
  }
}

function quarantine(path: string, why: string): void {
  const folder = join(dirname(dirname(dirname(path))), QUARANTINE_NAME);
  mkdirSync(folder, { recursive: true });
  const time = new Date().toISOString().replaceAll(":", "-");
  const kept = `${time}-${basename(dirname(dirname(path)))}-${basename(dirname(path))}-${basename(path)}`;
  renameSync(path, join(folder, kept));
  log.warning("index.quarantined", { path, kept, why });
  const all = readdirSync(folder).toSorted();
  for (const name of all.slice(0, Math.max(0, all.length - quarantinedMax))) {
    rmSync(join(folder, name), { recursive: true });
  }
}
