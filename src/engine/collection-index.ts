import { join } from "node:path";
import { createAnalyser, type Analyser } from "../keyword/analyser.ts";
import { createKeywordIndex, type KeywordIndexRead } from "../keyword/keyword-index.ts";
import type { KeywordDelta } from "../keyword/keyword-delta.ts";
import type { KeywordSegment } from "../keyword/keyword-segment.ts";
import { limits } from "../limits.ts";
import { assert } from "../problems.ts";
import { removePath } from "../segments/files.ts";
import { buildHere, type RunBuild } from "../segments/build.ts";
import { FollowedSet, type RemovedSince } from "../segments/followed-set.ts";
import type { SegmentReport } from "../segments/report.ts";
import type { Delta, OpenSegment, SegmentKind } from "../segments/segment-kind.ts";
import { sealSizesDefault } from "../segments/merge-policy.ts";
import { SegmentSet } from "../segments/segment-set.ts";
import type { CollectionRow, IndexChange, StoreRead } from "../store/store.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";
import { SegmentedVectors } from "../vectors/segmented-vectors.ts";
import type { VectorDelta } from "../vectors/vector-delta.ts";
import type { Neighbour, VectorSearch } from "../vectors/vector-index.ts";
import { createVectorKind, type VectorEngine } from "../vectors/vector-kind.ts";
import type { VectorSegment } from "../vectors/vector-segment.ts";
import { catchUp, hasGap, type Feed, type Following } from "./catch-up.ts";
import { keywordKind } from "./index-kinds.ts";

const log = getLogger("index");

/** Commits are read together when nobody searches: fewer reads, and each of them after another's commit is dear. */
const followMs = 20;

/** Seals and merges the index files, for itself and for all that follow. One process does. */
export interface OwnerRole {
  kind: "owner";
  /** Builds segments elsewhere; in this thread where it is missing. */
  run?: RunBuild | undefined;
  /** Rows in memory that make a seal due. */
  sealRows?: number | undefined;
  /** Told when a collection's changes up to a number are in sealed segments of all its indexes. */
  onSealed: (collectionKey: number, sequence: number) => void;
}

/** Maps what the owner seals. */
export interface FollowerRole {
  kind: "follower";
  /** Number of this follower, from 1. */
  follower: number;
  /** Told that the files cannot be followed any more: only a new start can compare everything again. */
  onBroken: (error: unknown) => void;
  /** Indexes are opened in steps when they are asked for, with trust in the owner that the files are whole. */
  opensLater?: boolean;
}

export interface CollectionIndexOptions {
  store: StoreRead;
  collection: CollectionRow;
  /** Folder of all indexes. */
  folder: string;
  vectorEngine: VectorEngine;
  /** Words are indexed here; otherwise the store's own tables answer. */
  words: boolean;
  role: OwnerRole | FollowerRole;
}

/** A keyword index and what reads words for it. */
export interface Words {
  index: KeywordIndexRead;
  analyser: Analyser;
}

/** How a collection's indexes are, taken together. */
export interface IndexReport extends Omit<SegmentReport, "live"> {
  vectors: number;
  words: number;
  /** Something that was lost is being read again from the store: a search may miss what has not been read yet. */
  catchingUp: boolean;
}

type IndexSet<Segment extends OpenSegment, D extends Delta> =
  | SegmentSet<Segment, D>
  | FollowedSet<Segment, D>;

/** The indexes of one collection, in step with the store: one over its vectors and one over its words. */
export class CollectionIndex implements AsyncDisposable {
  readonly #options: CollectionIndexOptions;
  readonly #vectorSet: IndexSet<VectorSegment, VectorDelta>;
  readonly #vectors: SegmentedVectors;
  readonly #words: IndexSet<KeywordSegment, KeywordDelta> | undefined;
  /** Answers keyword searches; undefined where words are not indexed here. */
  readonly words: Words | undefined;
  readonly analyser: Analyser;
  readonly #sealed = { vectors: 0, words: 0 };
  #catchingUp = true;
  /** The owner has sealed something that has not been taken over. */
  #refreshDue = false;
  #following: Promise<void> | undefined;
  /** Version of the store whose changes have all been applied. */
  #reached = "";
  #soon: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  /** Settles when the index has caught up with the store for the first time. */
  readonly ready: Promise<void>;

  static async open(options: CollectionIndexOptions): Promise<CollectionIndex> {
    const { collection, vectorEngine, store, words } = options;
    const { dimensions, quantization } = collection;
    const vectors = await createVectorKind({
      dimensions,
      dtype: quantization,
      engine: vectorEngine,
    });
    // The store's tables know English only.
    const analyser = await createAnalyser(words ? collection.keyword.language : "english");
    const keyword = words ? keywordKind(analyser, collection.keyword) : undefined;
    const { sequence } = await store.indexState(collection.key);
    return new CollectionIndex(options, { vectors, keyword, analyser, sequence });
  }

  private constructor(
    options: CollectionIndexOptions,
    kinds: {
      vectors: SegmentKind<VectorSegment, VectorDelta>;
      keyword: SegmentKind<KeywordSegment, KeywordDelta> | undefined;
      analyser: Analyser;
      sequence: number;
    },
  ) {
    this.#options = options;
    this.analyser = kinds.analyser;
    const trimVectors = (upTo: number): void => this.#trim({ vectors: upTo });
    this.#vectorSet = this.#openSet(kinds.vectors, kinds.sequence, trimVectors);
    this.#vectors = new SegmentedVectors(options.collection.dimensions, this.#vectorSet);
    if (kinds.keyword === undefined) {
      this.#sealed.words = Infinity;
    } else {
      const words = this.#openSet(kinds.keyword, kinds.sequence, (upTo) =>
        this.#trim({ words: upTo }),
      );
      this.#words = words;
      this.words = { index: createKeywordIndex(() => words.parts()), analyser: kinds.analyser };
    }
    this.#sealed.vectors = sealedUpTo(this.#vectorSet);
    if (this.#words !== undefined) this.#sealed.words = sealedUpTo(this.#words);
    this.ready = this.#catchUp();
  }

  /** Hears that something was committed. A search reads it at once, and without one it is read with what comes after. */
  hear(): void {
    if (this.#closed || this.#catchingUp) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      // Whoever searches tries again and is told.
      this.#follow().catch((error: unknown) => log.warning("index.follow_failed", { error }));
    }, followMs);
  }

  /** Hears that the owner has sealed segments. */
  hearSealed(): void {
    this.#refreshDue = true;
    this.hear();
  }

  /** Resolves when all that was committed before the call can be found; at once while the index is catching up. */
  async reach(version = this.#options.store.version()): Promise<void> {
    const { store, collection } = this.#options;
    // Most searches come when nothing was written since the last one.
    if (version === this.#reached) return;
    const { sequence } = await store.indexState(collection.key);
    while (this.#sequence < sequence && !this.#catchingUp && !this.#closed) await this.#follow();
    if (this.#sequence >= sequence) this.#reached = version;
  }

  /** Opening something ended this process before: the owner should look at it. */
  get suspicious(): boolean {
    return this.#sets().some((set) => set instanceof FollowedSet && set.suspicious);
  }

  /** Live vectors. */
  get vectors(): number {
    return this.#vectors.size;
  }

  hasVector(key: number): boolean {
    return this.#vectors.has(key);
  }

  hasWords(key: number): boolean {
    return this.#words?.has(key) ?? false;
  }

  nearest(search: VectorSearch): Neighbour[] {
    return this.#vectors.search(search);
  }

  /** Resolves once fewer rows wait in memory, or at once where few do. */
  async room(bytesMax: number): Promise<void> {
    await Promise.all(this.#owned().map((set) => roomIn(set, bytesMax)));
  }

  /** Seals what is in memory, where that can be done. */
  async seal(): Promise<void> {
    await Promise.all(this.#owned().map((set) => set.seal()));
  }

  /** As few segments as can be, without a dead row. */
  async compact(): Promise<void> {
    await this.ready;
    await this.reach();
    for (const set of this.#owned()) await set.compact();
  }

  report(): IndexReport {
    const vectors = this.#vectorSet.report();
    const words = this.#words?.report();
    const sum = (name: Exclude<keyof SegmentReport, "building">): number =>
      vectors[name] + (words?.[name] ?? 0);
    return {
      vectors: vectors.live,
      words: words?.live ?? 0,
      segments: sum("segments"),
      dead: sum("dead"),
      unsealed: sum("unsealed"),
      unsealedBytes: sum("unsealedBytes"),
      diskBytes: sum("diskBytes"),
      reclaimableBytes: sum("reclaimableBytes"),
      heapBytes: sum("heapBytes"),
      failures: sum("failures"),
      buildingRows: sum("buildingRows"),
      builds: sum("builds"),
      builtRows: sum("builtRows"),
      builtMs: sum("builtMs"),
      building: vectors.building || words?.building === true,
      catchingUp: this.#catchingUp,
    };
  }

  /** Closes the indexes and removes the files that are this one's. */
  async remove(): Promise<void> {
    await this[Symbol.asyncDispose]();
    if (this.#options.role.kind === "owner") removePath(this.#folder());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#soon);
    await Promise.allSettled([this.ready, this.#following]);
    await this.#vectors[Symbol.asyncDispose]();
    await this.#words?.[Symbol.asyncDispose]();
  }

  #openSet<Segment extends OpenSegment, D extends Delta>(
    kind: SegmentKind<Segment, D>,
    sequenceMax: number,
    onSealed: (sequence: number) => void,
  ): IndexSet<Segment, D> {
    const { store, role } = this.#options;
    const base = { folder: join(this.#folder(), kind.name), kind, epoch: store.epoch, sequenceMax };
    if (role.kind === "follower") {
      return new FollowedSet({ ...base, follower: role.follower, opensLater: role.opensLater });
    }
    const { run = buildHere(kind), sealRows = sealSizesDefault.deltaRows } = role;
    const sizes = { ...sealSizesDefault, deltaRows: sealRows };
    return new SegmentSet({ ...base, run, onSealed, sizes });
  }

  #sets(): (SegmentSet<OpenSegment, Delta> | FollowedSet<OpenSegment, Delta>)[] {
    return this.#words === undefined ? [this.#vectorSet] : [this.#vectorSet, this.#words];
  }

  #owned(): SegmentSet<OpenSegment, Delta>[] {
    return this.#sets().filter((set) => set instanceof SegmentSet);
  }

  /** Every change up to this number has been applied. */
  get #sequence(): number {
    return Math.min(...this.#sets().map(({ sequence }) => sequence));
  }

  #folder(): string {
    return join(this.#options.folder, String(this.#options.collection.key));
  }

  async #catchUp(): Promise<void> {
    const start = performance.now();
    const { store, collection } = this.#options;
    log.info("index.initializing", { collection: collection.name });
    if (this.#opensLater) await this.#takeOverSealed();
    const base = { store, collectionKey: collection.key, stopped: () => this.#closed };
    const vectorFeed: Feed<{ key: number; vector: Float32Array }> = {
      what: "vector",
      load: (from, keys) => from.chunkVectors(keys),
      add: ({ key, vector }) => this.#vectors.set(key, vector),
    };
    const vectors = await catchUp({ ...base, set: this.#vectorSet, feed: vectorFeed });
    const words = this.#words;
    if (words !== undefined) {
      const wordFeed: Feed<{ key: number; title: string | null; text: string | null }> = {
        what: "text",
        load: (from, keys) => from.chunkTexts(keys),
        add: (row) => words.parts().active.add(row.key, row),
      };
      await catchUp({ ...base, set: words, feed: wordFeed });
    }
    this.#catchingUp = false;
    const duration_ms = Math.round(performance.now() - start);
    log.info("index.ready", { collection: collection.name, ...vectors, duration_ms });
    this.hear();
  }

  get #opensLater(): boolean {
    const { role } = this.#options;
    return role.kind === "follower" && role.opensLater === true;
  }

  /** @throws Error where the owner has sealed more meanwhile than could be taken over */
  async #takeOverSealed(): Promise<void> {
    const { store, collection } = this.#options;
    await this.#refresh();
    const { trimmed } = await store.indexState(collection.key);
    if (this.#sequence < trimmed) throw new Error("the log begins after what is sealed");
  }

  /** Applies what the log has; one run at a time, which all wait for. */
  #follow(): Promise<void> {
    this.#following ??= outsideRequests(() => this.#followLog())
      .catch((error: unknown) => {
        const { role } = this.#options;
        if (role.kind === "follower") role.onBroken(error);
        throw error;
      })
      .finally(() => {
        this.#following = undefined;
      });
    return this.#following;
  }

  async #followLog(): Promise<void> {
    const { store, collection } = this.#options;
    while (!this.#closed) {
      const { sequence, trimmed } = await store.indexState(collection.key);
      if (this.#refreshDue || trimmed > this.#sequence) await this.#refresh();
      const after = this.#sequence;
      assert(trimmed <= after, "the log is cut off only behind what is sealed");
      if (after >= sequence) return;
      const changes = await store.indexLog(collection.key, { after, limit: limits.indexFollowMax });
      const last = changes.at(-1);
      if (
        last === undefined ||
        (await hasGap({ store, collectionKey: collection.key, after }, changes))
      ) {
        // Cut off since the look above.
        this.#refreshDue = true;
        continue;
      }
      await this.#apply(changes);
      for (const set of this.#sets()) set.applied(last.sequence);
      // Searches that wait for nothing newer go first.
      if (changes.length === limits.indexFollowMax) await new Promise(setImmediate);
    }
  }

  async #apply(changes: readonly IndexChange[]): Promise<void> {
    const { store } = this.#options;
    const keysOf = (what: IndexChange["change"]): number[] =>
      changes.flatMap(({ change, chunkKey }) => (change === what ? [chunkKey] : []));
    const vectors = keysOf("vector");
    const texts = this.#words === undefined ? [] : keysOf("text");
    // Read before anything is applied, so that a search between sees none of it or all of it.
    const vectorRows = vectors.length === 0 ? [] : await store.chunkVectors(vectors);
    const textRows = texts.length === 0 ? [] : await store.chunkTexts(texts);
    for (const { key, vector } of vectorRows) this.#vectors.set(key, vector);
    for (const row of textRows) {
      // A set that was refreshed may be ahead of the other one.
      if (this.#words?.has(row.key) === false) this.#words.parts().active.add(row.key, row);
    }
    // Last: one page may add a chunk and remove it again, and a key that was removed never comes back.
    for (const key of keysOf("removed")) for (const set of this.#sets()) set.remove(key);
  }

  async #refresh(): Promise<void> {
    this.#refreshDue = false;
    for (const set of this.#sets()) {
      if (set instanceof FollowedSet) await set.refresh(this.#removedSince);
    }
  }

  readonly #removedSince: RemovedSince = async (sequence) => {
    const { store, collection } = this.#options;
    const removed: number[] = [];
    for (let after = sequence; ;) {
      const changes = await store.indexLog(collection.key, { after, limit: limits.indexReadMax });
      const last = changes.at(-1);
      if (last === undefined) break;
      for (const { change, chunkKey } of changes) if (change === "removed") removed.push(chunkKey);
      after = last.sequence;
    }
    const { trimmed } = await store.indexState(collection.key);
    return trimmed > sequence ? undefined : removed;
  };

  /** The log is cut off where both indexes have it in sealed segments. */
  #trim(sealed: { vectors?: number; words?: number }): void {
    Object.assign(this.#sealed, sealed);
    const upTo = Math.min(this.#sealed.vectors, this.#sealed.words);
    const { role, collection } = this.#options;
    if (upTo === 0 || this.#closed || role.kind === "follower") return;
    role.onSealed(collection.key, upTo);
  }
}

/** The change up to which an index that was just opened needs no log. */
function sealedUpTo({ incomplete, sequence }: Following): number {
  return incomplete ? 0 : sequence;
}

/** Waits for the seal that will free what waits in memory, or for one try of it. */
async function roomIn(set: SegmentSet<OpenSegment, Delta>, bytesMax: number): Promise<void> {
  for (;;) {
    const { unsealedBytes, building } = set.report();
    if (unsealedBytes <= bytesMax) return;
    if (building) await set.settled();
    else return set.seal();
  }
}
