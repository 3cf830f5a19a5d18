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
import { recover, type RecoverOptions } from "./recover.ts";
import { LiveParts } from "./live-parts.ts";
import { RowSet } from "./row-set.ts";
import { runSteps } from "./run-steps.ts";
import { reportParts, type BuildTotals, type SegmentReport } from "./report.ts";
import { adoptFiles, buryLateDead, pathsIn, retireFiles, type Replaced } from "./sealed.ts";
import type { BuildSource, Delta, OpenSegment, Parts, SegmentKind } from "./segment-kind.ts";

const log = getLogger("index");

/** Without a write for so long, larger merges are taken up. */
const idleMs = 2000;

/** Changes after which the manifest is written although nothing was sealed: a start replays what it does not have. */
const replayedChangesMax = 20_000;

const retryMsFirst = 1000;
const retryMsMax = 60_000;

export interface SegmentSetOptions<
  Segment extends OpenSegment,
  D extends Delta,
> extends RecoverOptions<Segment> {
  kind: SegmentKind<Segment, D>;
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
  readonly #live: LiveParts<Segment, D>;
  /** Sequence that the owner has reached, that the parts but for the active delta have, and that the manifest has. */
  #applied: number;
  #covered: number;
  #written: number;
  /** When the first row of the active delta was seen; undefined while it has none. */
  #activeSinceMs: number | undefined;
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
    this.#live = new LiveParts(segments, options.kind.createDelta());
    this.incomplete = incomplete;
    this.#applied = sequence;
    // A manifest without what was lost must not say that it has it, however soon it is written.
    this.#covered = this.#written = incomplete ? 0 : sequence;
  }

  /** Every change up to this number is in the parts; the owner replays what came after. */
  get sequence(): number {
    return this.#applied;
  }

  /** What a search has to look at. The same objects until the next step of a build; do not keep them. */
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

  /** All changes up to this number have been made; builds that have become due are started. */
  applied(sequence: number): void {
    this.#applied = Math.max(this.#applied, sequence);
    // While the owner replays, commits come in before older changes: what they reach is not reached without gaps.
    if (this.#held) return;
    // Rows that were removed again may still take memory.
    if (this.#live.active.size === 0 && this.#live.active.rows > 0)
      this.#live.active = this.#options.kind.createDelta();
    if (this.#live.active.rows === 0) this.#activeSinceMs = undefined;
    else this.#activeSinceMs ??= performance.now();
    if (this.#live.active.size === 0 && this.#live.frozen.length === 0)
      this.#covered = this.#applied;
    this.#consider({ idle: false });
    this.#scheduleIdle();
  }

  /** Lets background work begin: the owner has replayed what was missing. */
  start(): void {
    this.#held = false;
    this.applied(this.#applied);
  }

  /** As `LiveParts.reconcile`. */
  reconcile(): ReturnType<LiveParts<Segment, D>["reconcile"]> {
    return this.#live.reconcile();
  }

  /** Seals what is in memory now. Resolves when that has been tried. */
  async seal(): Promise<void> {
    // Not `settled`: in the turn that its return takes another build may begin.
    while (this.#building !== undefined) await this.#building;
    const situation = this.#situation(false);
    if (this.#held || this.#stop.signal.aborted || situation.deltaRows === 0) return;
    this.#build(planSeal(situation));
    await this.settled();
  }

  /** Seals and merges until the segments are as few as can be and none has a dead row. @throws where a build fails */
  async compact(): Promise<void> {
    for (;;) {
      // As in `seal`.
      while (this.#building !== undefined) await this.#building;
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
      ...reportParts(this.parts(), this.#live.sealed),
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
      if (!this.#held && (this.#live.buried > 0 || this.#covered > this.#written))
        await this.#writeManifest();
      await this.#writing;
    } catch (error) {
      // A full disk: the next start replays from the manifest that is there.
      log.warning("index.manifest_failed", { folder: this.#options.folder, error });
    }
    this.#live.clear(this.#options.kind.createDelta());
  }

  #situation(idle: boolean): Situation {
    const segments = this.#live.sealed.map(({ segment, dead }) => ({
      rows: segment.rows,
      dead: dead.size,
    }));
    const frozenRows = this.#live.frozen.reduce((sum, { delta }) => sum + delta.size, 0);
    const deltaRows = this.#live.active.rows + frozenRows;
    const deltaBytes = this.#live.active.bytes;
    const now = performance.now();
    const deltaMs = now - (this.#activeSinceMs ?? now);
    return { deltaRows, deltaBytes, deltaMs, segments, sizes: this.#sizes, idle };
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
    if (seal && this.#live.active.size > 0) {
      this.#live.freeze(this.#applied, this.#options.kind.createDelta());
      this.#activeSinceMs = undefined;
    }
    const merged = merge.flatMap((at) => this.#live.sealed[at] ?? []);
    const deadBefore = merged.map(
      ({ segment, dead }) => new RowSet(segment.rows, dead.bits.slice()),
    );
    const folder = join(this.#options.folder, `building-${process.pid}-${++this.#buildNumber}`);
    // What was frozen stays so after a failure; then it goes into the next build whatever that one is for.
    const frozen = [...this.#live.frozen];
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

  /** Takes a built segment over in the place of what went into it, whose files stay until the disk knows. */
  async #adopt(built: BuiltSegment, replaced: Replaced<Segment, D>): Promise<void> {
    const added = built.rows === 0 ? undefined : adoptFiles(this.#options, built);
    const old = new Set(replaced.merged);
    if (added !== undefined) buryLateDead(added, replaced);
    this.#live.sealed = [
      ...this.#live.sealed.filter((sealed) => !old.has(sealed)),
      ...(added ? [added] : []),
    ];
    this.#live.frozen = this.#live.frozen.filter((frozen) => !replaced.frozen.includes(frozen));
    const last = replaced.frozen.at(-1);
    if (last !== undefined && this.#live.frozen.length === 0) this.#covered = last.sequence;
    if (this.#live.active.size === 0 && this.#live.frozen.length === 0)
      this.#covered = this.#applied;
    await this.#writeManifest();
    retireFiles(this.#options.folder, replaced.merged, this.#live.sealed);
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
    const segments = this.#live.sealed.map(({ stored, dead }) => ({
      ...stored,
      dead: Buffer.from(dead.bits).toString("base64"),
    }));
    const sequence = this.#covered;
    this.#live.buried = 0;
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
