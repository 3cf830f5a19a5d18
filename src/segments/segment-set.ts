import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";
import type { BuiltSegment, RunBuild } from "./build.ts";
import { removePath } from "./files.ts";
import { MANIFEST_NAME, writeManifest } from "./manifest.ts";
import {
  planBuild,
  planCompaction,
  planSeal,
  sealSizesDefault,
  type BuildPlan,
  type SealSizes,
  type Situation,
} from "./merge-policy.ts";
import { recover } from "./recover.ts";
import { RowSet } from "./row-set.ts";
import { runSteps } from "./run-steps.ts";
import { reportParts, type BuildTotals, type SegmentReport } from "./report.ts";
import {
  adoptFiles,
  buryLateDead,
  pathsIn,
  retireFiles,
  type Frozen,
  type Replaced,
  type Sealed,
} from "./sealed.ts";
import type { BuildSource, Delta, OpenSegment, Parts, SegmentKind } from "./segment-kind.ts";

const log = getLogger("index");

/** Without a write for so long, larger merges are taken up. */
const idleMs = 2000;

/** Changes after which the manifest is written although nothing was sealed: a start replays what it does not have. */
const replayedChangesMax = 20_000;

const retryMsFirst = 1000;
const retryMsMax = 60_000;

export interface SegmentSetOptions<Segment extends OpenSegment, D extends Delta> {
  /** The index's own folder; quarantine lies beside its parent. Made if it is missing. */
  folder: string;
  kind: SegmentKind<Segment, D>;
  /** Life of the database that the index follows. */
  epoch: string;
  /** Number of the database's last change: an index that knows of later ones belongs to another life of it. */
  sequenceMax: number;
  run: RunBuild;
  /** Told after every manifest: a start would not need changes up to this number. */
  onSealed?: (sequence: number) => void;
  sizes?: SealSizes;
}

/**
 * A log-structured index: immutable sealed segments and a delta in memory. The owner adds rows to `parts().active`, takes
 * keys out by `remove` and tells by `applied` how far it followed the database. Sealing and merging go on in the
 * background, one build at a time; a search between any two of its steps finds every live row exactly once.
 */
export class SegmentSet<Segment extends OpenSegment, D extends Delta> implements AsyncDisposable {
  /** A part of what was sealed is lost: the owner has to compare keys with the database, by `reconcile`. */
  readonly incomplete: boolean;
  readonly #options: SegmentSetOptions<Segment, D>;
  readonly #sizes: SealSizes;
  readonly #stop = new AbortController();
  #sealed: Sealed<Segment>[];
  #frozen: Frozen<D>[] = [];
  #active: D;
  /** Sequence that the owner has reached, that the parts but for the active delta have, and that the manifest has. */
  #applied: number;
  #covered: number;
  #written: number;
  /** Removals since the manifest was written. */
  #unwritten = 0;
  #building: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  readonly #totals: BuildTotals = { buildingRows: 0, builds: 0, builtRows: 0, builtMs: 0 };
  #buildNumber = 0;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #held = true;

  constructor(options: SegmentSetOptions<Segment, D>) {
    this.#options = options;
    this.#sizes = options.sizes ?? sealSizesDefault;
    const { segments, sequence, incomplete } = recover(options);
    this.#sealed = segments;
    this.incomplete = incomplete;
    this.#applied = this.#covered = this.#written = sequence;
    this.#active = options.kind.createDelta();
  }

  /** Every change up to this number is in the parts; the owner replays what came after. */
  get sequence(): number {
    return this.#applied;
  }

  /** What a search has to look at. The same objects until the next step of a build; do not keep them. */
  parts(): Parts<Segment, D> {
    return { sealed: this.#sealed, frozen: this.#frozen, active: this.#active };
  }

  /** Live rows. */
  get size(): number {
    let sum = this.#active.size;
    for (const { delta, dead } of this.#frozen) sum += delta.size - dead.size;
    for (const { segment, dead } of this.#sealed) sum += segment.rows - dead.size;
    return sum;
  }

  has(key: number): boolean {
    if (this.#active.has(key)) return true;
    if (this.#frozen.some(({ delta, dead }) => delta.has(key) && !dead.has(key))) return true;
    return this.#sealed.some(({ segment, dead }) => {
      const row = segment.rowOf(key);
      return row >= 0 && !dead.has(row);
    });
  }

  /** True if the key was live. */
  remove(key: number): boolean {
    if (this.#active.remove(key)) return true;
    for (const { delta, dead } of this.#frozen) {
      if (delta.has(key) && !dead.has(key)) {
        dead.add(key);
        return true;
      }
    }
    for (const { segment, dead } of this.#sealed) {
      const row = segment.rowOf(key);
      if (row >= 0 && dead.add(row)) {
        this.#unwritten++;
        return true;
      }
    }
    return false;
  }

  /** All changes up to this number have been made; builds that have become due are started. */
  applied(sequence: number): void {
    this.#applied = Math.max(this.#applied, sequence);
    // While the owner replays, commits come in before older changes: what they reach is not reached without gaps.
    if (this.#held) return;
    // Rows that were removed again may still take memory.
    if (this.#active.size === 0 && this.#active.rows > 0)
      this.#active = this.#options.kind.createDelta();
    if (this.#active.size === 0 && this.#frozen.length === 0) this.#covered = this.#applied;
    this.#consider({ idle: false });
    this.#scheduleIdle();
  }

  /** Lets background work begin: the owner has replayed what was missing. */
  start(): void {
    this.#held = false;
    this.applied(this.#applied);
  }

  /**
   * Compares the sealed keys with the database's: `see` each that should be there, which tells whether it is; `finish`
   * makes those dead that were not seen.
   */
  reconcile(): { see: (key: number) => boolean; finish: () => number } {
    const seen = this.#sealed.map(({ segment }) => new RowSet(segment.rows));
    return {
      see: (key) => {
        for (const [at, { segment, dead }] of this.#sealed.entries()) {
          const row = segment.rowOf(key);
          if (row >= 0 && !dead.has(row)) return seen[at]?.add(row) ?? false;
        }
        return this.#active.has(key);
      },
      finish: () => {
        let gone = 0;
        for (const [at, { segment, dead }] of this.#sealed.entries()) {
          for (let row = 0; row < segment.rows; row++) {
            if (seen[at]?.has(row) === false && dead.add(row)) gone++;
          }
        }
        return gone;
      },
    };
  }

  /** Seals what is in memory now. Resolves when that has been tried. */
  async seal(): Promise<void> {
    await this.settled();
    const situation = this.#situation(false);
    if (this.#held || this.#stop.signal.aborted || situation.deltaRows === 0) return;
    this.#build(planSeal(situation));
    await this.settled();
  }

  /** Seals and merges until the segments are as few as can be and none has a dead row. @throws where a build fails */
  async compact(): Promise<void> {
    for (;;) {
      await this.settled();
      if (this.#stop.signal.aborted) return;
      const plan = planCompaction(this.#situation(true));
      if (plan === undefined) break;
      const failuresBefore = this.#failures;
      this.#build(plan);
      await this.settled();
      if (this.#failures > failuresBefore) throw new Error("an index build failed; see the log");
    }
    await this.#writeManifest();
  }

  /** Resolves when no build is under way and none is due. */
  async settled(): Promise<void> {
    while (this.#building !== undefined) await this.#building;
  }

  report(): SegmentReport {
    return {
      ...reportParts(this.parts(), this.#sealed),
      building: this.#building !== undefined,
      failures: this.#failures,
      ...this.#totals,
    };
  }

  /** Ends background work and writes down what is sealed. The delta is not lost: the next start replays it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the index is closed"));
    clearTimeout(this.#timer);
    await this.#building;
    try {
      if (!this.#held && (this.#unwritten > 0 || this.#covered > this.#written))
        await this.#writeManifest();
      await this.#writing;
    } catch (error) {
      // A full disk: the next start replays from the manifest that is there.
      log.warning("index.manifest_failed", { folder: this.#options.folder, error });
    }
    for (const { segment } of this.#sealed) segment.close();
    this.#sealed = [];
    this.#frozen = [];
    this.#active = this.#options.kind.createDelta();
  }

  #situation(idle: boolean): Situation {
    const segments = this.#sealed.map(({ segment, dead }) => ({
      rows: segment.rows,
      dead: dead.size,
    }));
    const frozenRows = this.#frozen.reduce((sum, { delta }) => sum + delta.size, 0);
    const deltaRows = this.#active.rows + frozenRows;
    const deltaBytes = this.#active.bytes;
    return { deltaRows, deltaBytes, segments, sizes: this.#sizes, idle };
  }

  #consider({ idle }: { idle: boolean }): void {
    if (this.#building !== undefined || this.#held || this.#stop.signal.aborted) return;
    const plan = planBuild(this.#situation(idle));
    if (plan !== undefined) this.#build(plan);
    else if (this.#covered - this.#written > replayedChangesMax) this.#checkpoint();
  }

  #scheduleIdle(): void {
    clearTimeout(this.#timer);
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => this.#consider({ idle: true }), idleMs);
    this.#timer.unref();
  }

  #build(plan: BuildPlan): void {
    this.#building = outsideRequests(() => this.#buildOne(plan))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#building = undefined;
        if (this.#failures > 0) return;
        this.#consider({ idle: false });
        this.#scheduleIdle();
      });
  }

  #failed(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#failures++;
    const retry_ms = Math.min(retryMsMax, retryMsFirst * 2 ** (this.#failures - 1));
    log.error("index.build_failed", { folder: this.#options.folder, error, retry_ms });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#consider({ idle: true }), retry_ms);
    this.#timer.unref();
  }

  async #buildOne({ seal, merge }: BuildPlan): Promise<void> {
    const start = performance.now();
    if (seal && this.#active.size > 0) this.#freeze();
    const merged = merge.flatMap((at) => this.#sealed[at] ?? []);
    const deadBefore = merged.map(
      ({ segment, dead }) => new RowSet(segment.rows, dead.bits.slice()),
    );
    const folder = join(this.#options.folder, `building-${process.pid}-${++this.#buildNumber}`);
    // What was frozen stays so after a failure; then it goes into the next build whatever that one is for.
    const frozen = [...this.#frozen];
    mkdirSync(join(folder, "new"), { recursive: true });
    try {
      const sources: BuildSource[] = merged.map(({ stored, segment }, at) => ({
        files: pathsIn(this.#options.folder, stored),
        dead: deadBefore[at]?.bits ?? new Uint8Array(),
        rows: segment.rows,
      }));
      for (const [at, { delta }] of frozen.entries()) {
        const own = join(folder, `delta-${at}`);
        mkdirSync(own);
        const files = await runSteps(delta.dump(own), this.#stop.signal);
        sources.push({ files, dead: new Uint8Array(), rows: delta.size });
      }
      const { name: kind, facts } = this.#options.kind;
      this.#totals.buildingRows = sources.reduce((sum, { rows }) => sum + rows, 0);
      const job = { kind, facts, sources, folder: join(folder, "new") };
      const built = await this.#options.run(job, this.#stop.signal);
      this.#stop.signal.throwIfAborted();
      await this.#adopt(built, { merged, deadBefore, frozen });
      this.#failures = 0;
      const duration_ms = Math.round(performance.now() - start);
      this.#totals.builds++;
      this.#totals.builtRows += built.rows;
      this.#totals.builtMs += duration_ms;
      log.info("index.sealed", {
        folder: this.#options.folder,
        rows: built.rows,
        merged: merged.length,
        duration_ms,
      });
    } finally {
      this.#totals.buildingRows = 0;
      removePath(folder);
    }
  }

  #freeze(): void {
    this.#frozen.push({ delta: this.#active, dead: new Set(), sequence: this.#applied });
    this.#active = this.#options.kind.createDelta();
  }

  /** Takes a built segment over in the place of what went into it, whose files stay until the disk knows. */
  async #adopt(built: BuiltSegment, replaced: Replaced<Segment, D>): Promise<void> {
    const added = built.rows === 0 ? undefined : adoptFiles(this.#options, built);
    const old = new Set(replaced.merged);
    if (added !== undefined) buryLateDead(added, replaced);
    this.#sealed = [
      ...this.#sealed.filter((sealed) => !old.has(sealed)),
      ...(added ? [added] : []),
    ];
    this.#frozen = this.#frozen.filter((frozen) => !replaced.frozen.includes(frozen));
    const last = replaced.frozen.at(-1);
    if (last !== undefined && this.#frozen.length === 0) this.#covered = last.sequence;
    if (this.#active.size === 0 && this.#frozen.length === 0) this.#covered = this.#applied;
    await this.#writeManifest();
    retireFiles(this.#options.folder, replaced.merged, this.#sealed);
  }

  /** Writes what is sealed down, one write after the other. */
  #writeManifest(): Promise<void> {
    const writing = this.#writeAfter(this.#writing);
    // The next write does not fail because of this one.
    this.#writing = writing.catch(() => {});
    return writing;
  }

  async #writeAfter(previous: Promise<void> | undefined): Promise<void> {
    await previous;
    const { folder, kind, epoch, onSealed } = this.#options;
    const segments = this.#sealed.map(({ stored, dead }) => ({
      ...stored,
      dead: Buffer.from(dead.bits).toString("base64"),
    }));
    const sequence = this.#covered;
    this.#unwritten = 0;
    const manifest = { format: 1 as const, epoch, facts: kind.facts, sequence, segments };
    await writeManifest(join(folder, MANIFEST_NAME), manifest);
    this.#written = sequence;
    onSealed?.(sequence);
  }

  /** Keeps what a start would have to replay short although nothing was sealed for long. */
  #checkpoint(): void {
    this.#writeManifest().catch((error: unknown) =>
      log.warning("index.manifest_failed", { folder: this.#options.folder, error }),
    );
  }
}
