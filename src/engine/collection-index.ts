import { join } from "node:path";
import { createAnalyser, type Analyser } from "../keyword/analyser.ts";
import { createKeywordIndex, type KeywordIndexRead } from "../keyword/keyword-index.ts";
import type { KeywordDelta } from "../keyword/keyword-delta.ts";
import type { KeywordSegment } from "../keyword/keyword-segment.ts";
import { removePath } from "../segments/files.ts";
import { buildHere, type RunBuild } from "../segments/build.ts";
import type { SegmentReport } from "../segments/report.ts";
import type { Delta, OpenSegment, SegmentKind } from "../segments/segment-kind.ts";
import { sealSizesDefault } from "../segments/merge-policy.ts";
import { SegmentSet } from "../segments/segment-set.ts";
import type { CollectionRow, Commit, Store } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { SegmentedVectors } from "../vectors/segmented-vectors.ts";
import type { VectorDelta } from "../vectors/vector-delta.ts";
import type { Neighbour, VectorSearch } from "../vectors/vector-index.ts";
import { createVectorKind, type VectorEngine } from "../vectors/vector-kind.ts";
import type { VectorSegment } from "../vectors/vector-segment.ts";
import { catchUp, type Feed } from "./catch-up.ts";
import { keywordKind } from "./index-kinds.ts";

const log = getLogger("index");

export interface CollectionIndexOptions {
  store: Store;
  collection: CollectionRow;
  /** Folder of all indexes. */
  folder: string;
  vectorEngine: VectorEngine;
  /** Words are indexed here; otherwise the store's own tables answer. */
  words: boolean;
  /** Builds segments elsewhere; in this thread where it is missing. */
  run: RunBuild | undefined;
  /** Rows in memory that make a seal due. */
  sealRows?: number;
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

/** The indexes of one collection, in step with the store: one over its vectors and one over its words. */
export class CollectionIndex implements AsyncDisposable {
  readonly #options: CollectionIndexOptions;
  readonly #vectorSet: SegmentSet<VectorSegment, VectorDelta>;
  readonly #vectors: SegmentedVectors;
  readonly #words: SegmentSet<KeywordSegment, KeywordDelta> | undefined;
  /** Answers keyword searches; undefined where words are not indexed here. */
  readonly words: Words | undefined;
  readonly analyser: Analyser;
  readonly #sealed = { vectors: 0, words: 0 };
  #catchingUp = true;
  #closed = false;
  /** Settles when the index is in step with the store. */
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
    this.ready = this.#follow();
  }

  /** Applies one commit; called in the order of the commits. */
  apply({ texts, vectors, chunksRemoved, indexSequence }: Commit): void {
    if (this.#closed) return;
    // In this order: a commit may add a chunk and replace it again, and a key that was removed never comes back.
    for (const { key, vector } of vectors) this.#vectors.set(key, vector);
    for (const words of texts) this.#words?.parts().active.add(words.key, words);
    for (const key of chunksRemoved) {
      this.#vectors.remove(key);
      this.#words?.remove(key);
    }
    this.#vectorSet.applied(indexSequence);
    this.#words?.applied(indexSequence);
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
    await Promise.all([
      roomIn(this.#vectorSet, bytesMax),
      this.#words === undefined ? undefined : roomIn(this.#words, bytesMax),
    ]);
  }

  /** Seals what is in memory, where that can be done. */
  async seal(): Promise<void> {
    await Promise.all([this.#vectorSet.seal(), this.#words?.seal()]);
  }

  /** As few segments as can be, without a dead row. */
  async compact(): Promise<void> {
    await this.ready;
    await this.#vectorSet.compact();
    await this.#words?.compact();
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

  /** Closes the indexes and removes their files. */
  async remove(): Promise<void> {
    await this[Symbol.asyncDispose]();
    removePath(this.#folder());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.ready;
    await this.#vectors[Symbol.asyncDispose]();
    await this.#words?.[Symbol.asyncDispose]();
  }

  #openSet<Segment extends OpenSegment, D extends Delta>(
    kind: SegmentKind<Segment, D>,
    sequenceMax: number,
    onSealed: (sequence: number) => void,
  ): SegmentSet<Segment, D> {
    const { store, run = buildHere(kind), sealRows = sealSizesDefault.deltaRows } = this.#options;
    const sizes = { ...sealSizesDefault, deltaRows: sealRows };
    const folder = join(this.#folder(), kind.name);
    return new SegmentSet({ folder, kind, epoch: store.epoch, sequenceMax, run, onSealed, sizes });
  }

  #folder(): string {
    return join(this.#options.folder, String(this.#options.collection.key));
  }

  async #follow(): Promise<void> {
    const start = performance.now();
    const { store, collection } = this.#options;
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
  }

  /** The log is cut off where both indexes have it in sealed segments. */
  #trim(sealed: { vectors?: number; words?: number }): void {
    Object.assign(this.#sealed, sealed);
    const upTo = Math.min(this.#sealed.vectors, this.#sealed.words);
    if (upTo === 0 || this.#closed) return;
    this.#options.store
      .trimIndexLog(this.#options.collection.key, upTo)
      .catch((error: unknown) => log.warning("index.trim_failed", { error }));
  }
}

/** The change up to which an index that was just opened needs no log. */
function sealedUpTo({ incomplete, sequence }: SegmentSet<OpenSegment, Delta>): number {
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
