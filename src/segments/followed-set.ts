import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { getLogger } from "../telemetry/logs.ts";
import { sizeOf } from "./files.ts";
import { LiveParts } from "./live-parts.ts";
import { MANIFEST_NAME, readManifest, type Manifest, type StoredSegment } from "./manifest.ts";
import { DamagedSegment, openStored, openStoredInSteps, type OpenStored } from "./open-stored.ts";
import { readLines, trustedManifest, type RecoverOptions } from "./recover.ts";
import { RowSet } from "./row-set.ts";
import { reportParts, type SegmentReport } from "./report.ts";
import type { Sealed } from "./sealed.ts";
import type { Delta, OpenSegment, Parts, SegmentKind } from "./segment-kind.ts";

const log = getLogger("index");

/** Tries of a refresh: each fails only where the owner replaced files within the milliseconds that it takes. */
const triesMax = 5;

export interface FollowedSetOptions<
  Segment extends OpenSegment,
  D extends Delta,
> extends RecoverOptions<Segment> {
  kind: SegmentKind<Segment, D>;
  /** Number of this follower among those of the folder. */
  follower: number;
  /** Nothing is opened before the first refresh, which trusts the owner that the files are whole. */
  opensLater?: boolean | undefined;
}

const NOTHING_YET = { segments: [], sequence: 0, incomplete: false };

/** Keys removed after a change, or undefined where the log does not reach back so far any more. */
export type RemovedSince = (sequence: number) => Promise<readonly number[] | undefined>;

/**
 * An index whose files another process seals and merges: sealed segments are those of its manifest, and what came later is
 * in a delta of this process. Nothing in the folder is changed but this follower's own sentinel.
 */
export class FollowedSet<Segment extends OpenSegment, D extends Delta> implements AsyncDisposable {
  /** A part of what was sealed is lost: whoever follows has to compare keys with the database, by `reconcile`. */
  readonly incomplete: boolean;
  /** Opening something ended this follower's process before. */
  readonly suspicious: boolean;
  readonly #options: FollowedSetOptions<Segment, D>;
  readonly #opening: OpenStored<Segment>;
  readonly #live: LiveParts<Segment, D>;
  /** Sequence that has been reached without gaps. */
  #applied: number;

  constructor(options: FollowedSetOptions<Segment, D>) {
    const { folder, kind, follower, opensLater: trusts = false } = options;
    this.#options = options;
    this.#opening = { folder, kind, sentinel: `opening-${follower}.json`, trusts };
    // The owner may not have come to it yet.
    mkdirSync(folder, { recursive: true });
    this.suspicious = this.#passSuspicionOn();
    const { segments, sequence, incomplete } = trusts ? NOTHING_YET : this.#openAll();
    this.#live = new LiveParts<Segment, D>(segments, kind.createDelta());
    this.incomplete = incomplete;
    this.#applied = sequence;
  }

  /** Every change up to this number is in the parts. */
  get sequence(): number {
    return this.#applied;
  }

  /** What a search has to look at. The same objects until the next refresh; do not keep them. */
  parts(): Parts<Segment, D> {
    return this.#live.view();
  }

  /** Live rows. */
  get size(): number {
    return this.#live.size;
  }

  has(key: number): boolean {
    return this.#live.has(key);
  }

  /** True if the key was live. */
  remove(key: number): boolean {
    return this.#live.remove(key);
  }

  applied(sequence: number): void {
    this.#applied = Math.max(this.#applied, sequence);
  }

  /** Nothing waits for it here. */
  start(): void {}

  /** As `LiveParts.reconcile`. */
  reconcile(): ReturnType<LiveParts<Segment, D>["reconcile"]> {
    return this.#live.reconcile();
  }

  report(): SegmentReport {
    const builds = { buildingRows: 0, builds: 0, builtRows: 0, builtMs: 0 };
    const parts = reportParts(this.parts(), this.#live.sealed);
    return { ...parts, building: false, failures: 0, ...builds };
  }

  /**
   * Takes over what the owner has sealed since: new segments are opened, what they hold leaves the deltas, and segments
   * that were merged away are closed. Not to be called while changes are being applied. False if nothing was new.
   * @throws DamagedSegment, where a file that should be there is not or is another one
   */
  async refresh(removedSince: RemovedSince): Promise<boolean> {
    const { folder } = this.#options;
    for (let tries = triesMax; ; tries--) {
      const manifest = readManifest(join(folder, MANIFEST_NAME));
      if (typeof manifest === "string" || !this.#isNews(manifest)) return false;
      const opened: Sealed<Segment>[] = [];
      try {
        for (const stored of manifest.segments) opened.push(await this.#reuseOrOpen(stored));
        const removed = await removedSince(manifest.sequence);
        if (removed !== undefined) {
          this.#takeOver(manifest, opened, removed);
          return true;
        }
        throw new DamagedSegment("the log was cut off behind the manifest that was read");
      } catch (error) {
        for (const one of opened) if (!this.#live.sealed.includes(one)) one.segment.close();
        if (tries <= 1) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#live.clear(this.#options.kind.createDelta());
  }

  #openAll(): { segments: Sealed<Segment>[]; sequence: number; incomplete: boolean } {
    const { folder, follower } = this.#options;
    const suspects = new Set(readLines(join(folder, suspectName(follower))));
    const manifest = trustedManifest(this.#options, logDamage);
    const segments: Sealed<Segment>[] = [];
    for (const stored of manifest?.segments ?? []) {
      try {
        segments.push(openStored(this.#opening, stored, suspects));
      } catch (error) {
        logDamage(folder, String(error));
      }
    }
    const incomplete = manifest === undefined || segments.length < manifest.segments.length;
    return { segments, sequence: manifest?.sequence ?? 0, incomplete };
  }

  #isNews({ epoch, facts, segments, sequence }: Manifest): boolean {
    const { kind } = this.#options;
    // One of another life or made otherwise is being replaced by the owner, who will tell.
    if (epoch !== this.#options.epoch || !Bun.deepEquals(facts, kind.facts, true)) return false;
    const known = this.#live.sealed.map(({ stored }) => nameOf(stored)).join();
    return sequence > this.#applied || segments.map(nameOf).join() !== known;
  }

  async #reuseOrOpen(stored: StoredSegment): Promise<Sealed<Segment>> {
    const name = nameOf(stored);
    const known = this.#live.sealed.find((one) => nameOf(one.stored) === name);
    return known ?? openStoredInSteps(this.#opening, stored);
  }

  #takeOver(
    { sequence, segments }: Manifest,
    sealed: Sealed<Segment>[],
    removed: readonly number[],
  ): void {
    const live = this.#live;
    const old = live.sealed;
    const added = sealed.filter((one) => !old.includes(one));
    for (const { segment, dead } of added) {
      for (const key of removed) {
        const row = segment.rowOf(key);
        if (row >= 0) dead.add(row);
      }
    }
    if (sequence >= this.#applied) this.#leap(sealed, segments);
    else this.#forgetSealed((key) => added.some(({ segment }) => segment.rowOf(key) >= 0));
    live.sealed = sealed;
    for (const one of old) if (!sealed.includes(one)) one.segment.close();
    this.applied(sequence);
  }

  /**
   * The manifest is ahead: changes up to its number are skipped here, and so are their removals, which its dead rows
   * tell. All that the deltas hold came before it.
   */
  #leap(sealed: readonly Sealed<Segment>[], segments: readonly StoredSegment[]): void {
    const live = this.#live;
    for (const [at, { segment, dead }] of sealed.entries()) {
      const told = new RowSet(segment.rows, Uint8Array.fromBase64(segments[at]?.dead ?? ""));
      for (let row = 0; row < segment.rows; row++) if (told.has(row)) dead.add(row);
    }
    live.frozen = [];
    live.active = this.#options.kind.createDelta();
  }

  /** What is left of the active delta is put aside, so that its memory comes back as a whole after the next seal. */
  #forgetSealed(isSealed: (key: number) => boolean): void {
    const live = this.#live;
    if (live.active.rows > 0) live.freeze(this.#applied, this.#options.kind.createDelta());
    for (const { delta, dead } of live.frozen) {
      for (const key of delta.keys()) if (isSealed(key)) dead.add(key);
    }
    live.frozen = live.frozen.filter(({ delta, dead }) => delta.size > dead.size);
  }

  /** What ended this process is named to the owner, who puts it aside at its next start. True if there is something. */
  #passSuspicionOn(): boolean {
    const { folder, follower } = this.#options;
    const sentinel = join(folder, this.#opening.sentinel);
    if (sizeOf(sentinel) < 0) return false;
    renameSync(sentinel, join(folder, suspectName(follower)));
    return true;
  }
}

function suspectName(follower: number): string {
  return `suspect-${follower}.json`;
}

function nameOf({ files }: StoredSegment): string {
  return Object.values(files)
    .map(({ name }) => name)
    .toSorted()
    .join("+");
}

/** Putting it aside is the owner's. */
function logDamage(path: string, why: string): void {
  log.warning("index.segment_left_out", { path, why });
}
