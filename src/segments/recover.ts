import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { getLogger } from "../telemetry/logs.ts";
import { readIfThere, removePath, sizeOf } from "./files.ts";
import { MANIFEST_NAME, readManifest, type Manifest, type StoredSegment } from "./manifest.ts";
import { openStored } from "./open-stored.ts";
import type { Sealed } from "./sealed.ts";
import type { Delta, OpenSegment, SegmentKind } from "./segment-kind.ts";

const log = getLogger("index");

/** Names what is being opened: found at a start, it says that opening it ended the process. */
const SENTINEL_NAME = "opening.json";

/** What a follower names, after opening it ended its process: the owner puts it aside at its next start. */
const SUSPECT_NAME = /^suspect-\d+\.json$/;

/** A follower's own. */
const FOLLOWER_NAME = /^(opening|suspect)-\d+\.json$/;

/** Folder, beside those of the indexes, for what is not trusted. */
const QUARANTINE_NAME = "quarantine";

/** Things kept in quarantine, for a person to look at; the oldest go first. */
const quarantinedMax = 8;

/** A name that only this room gives: content hash and role, or a build's folder. */
const OWN_NAME = /^([0-9a-f]{16}\.[a-z]+|building-[\d-]+|manifest\.json\.tmp)$/;

export interface Recovered<Segment> {
  segments: Sealed<Segment>[];
  /** Every change up to this number is in the segments. */
  sequence: number;
  /** Something that should be there is not: only a comparison with the database tells what is missing. */
  incomplete: boolean;
}

/** Which manifest an index may open. */
export interface RecoverOptions<Segment extends OpenSegment> {
  folder: string;
  kind: SegmentKind<Segment, Delta>;
  /** Life of the database that the index follows. */
  epoch: string;
  /** Number of the database's last change: an index that knows of later ones belongs to another life of it. */
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
  const manifest = trustedManifest(options, (path, why) => quarantine(path, why));
  const segments: Sealed<Segment>[] = [];
  for (const stored of manifest?.segments ?? []) {
    try {
      segments.push(openStored({ ...options, sentinel: SENTINEL_NAME }, stored, suspects));
    } catch (error) {
      discard(folder, stored, error instanceof Error ? error.message : String(error));
    }
  }
  removeStrangers(folder, segments);
  return {
    segments,
    sequence: manifest?.sequence ?? 0,
    incomplete: manifest === undefined || segments.length < manifest.segments.length,
  };
}

/** Names of files whose opening did not return, here or in a follower. */
function readSuspects(folder: string): Set<string> {
  const names = readdirSync(folder).filter(
    (name) => name === SENTINEL_NAME || SUSPECT_NAME.test(name),
  );
  const suspects = new Set<string>();
  for (const name of names) {
    for (const file of readLines(join(folder, name))) suspects.add(file);
    removePath(join(folder, name));
  }
  return suspects;
}

/** The lines of a file, none where it is not there. */
export function readLines(path: string): string[] {
  return readIfThere(path)?.split("\n") ?? [];
}

/** The manifest, if it is whole and of this database and these facts. */
export function trustedManifest(
  { folder, kind, epoch, sequenceMax }: RecoverOptions<OpenSegment>,
  onDamaged: (path: string, why: string) => void,
): Manifest | undefined {
  const path = join(folder, MANIFEST_NAME);
  const manifest = readManifest(path);
  if (manifest === "missing") return undefined;
  if (manifest === "damaged") {
    onDamaged(path, "its hash is not that of its content");
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

/** Puts a segment's files aside. */
function discard(folder: string, stored: StoredSegment, why: string): void {
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
    if (known.has(name) || FOLLOWER_NAME.test(name)) continue;
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
