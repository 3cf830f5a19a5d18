import { limits } from "../limits.ts";
import type { CollectionRow, Commit, StoreRead } from "../store/store.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";
import { canScoreCodes } from "../vectors/code-rows.ts";
import { Engine, NO_MODEL, type EngineOptions } from "./engine.ts";

const log = getLogger("index");

/** A collection that was written to so lately is left to the engines: each commit would have to be read here too. */
const quietMs = 500;

/** A search that took so long held everything else up. */
const slowMs = 3;

/** The first dozen is slow anywhere, until its code is compiled: so many in a row, and it is the collection. */
const slowInARowMax = 32;

/** How long a collection whose searches are slow here, or that cannot be opened, is left to the engines. */
const restMs = 30_000;

/** How long one is that does not fit yet: what waits in memory after many writes is sealed within seconds. */
const waitMs = 1000;

export interface InThreadOptions extends Pick<EngineOptions, "folder" | "budgets"> {
  /** Number of this follower among those of the index files. */
  follower: number;
}

interface Known {
  state: "closed" | "opening" | "open";
  changedMs: number;
  /** Chunks that came and went since it was opened. */
  changes: number;
  /** What is being done with its files, one thing after the other. */
  work: Promise<void> | undefined;
  /** Slow searches in a row. */
  slow: number;
  /** Not searched here before this time. */
  restsUntilMs: number;
}

/**
 * Vectors of collections that the server's own thread can search, where the engines are other processes: a single search
 * takes less time than waking one of them. It follows the index files as an engine does, with int8 graphs only, which are
 * read without native code. A collection is opened once it was asked for and not written to for a while, and closed when
 * much of it changes or its owner replaces the files.
 */
export class InThreadEngine implements AsyncDisposable {
  /** What searches; for collections that `isOpen` says are open. */
  readonly engine: Engine;
  readonly #store: StoreRead;
  readonly #known = new Map<number, Known>();

  private constructor(store: StoreRead, engine: Engine) {
    this.#store = store;
    this.engine = engine;
  }

  /** Undefined where this processor cannot score int8 vectors. */
  static async open(
    store: StoreRead,
    { follower, ...options }: InThreadOptions,
  ): Promise<InThreadEngine | undefined> {
    if (!canScoreCodes) return undefined;
    let opened: InThreadEngine | undefined;
    const engine = await Engine.open(store, {
      ...options,
      vectorEngine: "codes",
      // Words are the engines'.
      keywordIndex: "fts5",
      role: {
        kind: "follower",
        follower,
        opensLater: true,
        onBroken: (error) => {
          log.warning("index.follow_failed", { error });
          opened?.closeAll();
        },
      },
    });
    opened = new InThreadEngine(store, engine);
    return opened;
  }

  /** Whether a collection can be searched here now. Where it could be, it is being opened from then on. */
  isOpen(collection: CollectionRow): boolean {
    const now = performance.now();
    const known = this.#find(collection.key);
    if (now - known.changedMs < quietMs || now < known.restsUntilMs) return false;
    if (known.state === "open") return true;
    if (known.work === undefined && canBeOpened(collection)) {
      known.state = "opening";
      void next(known, () => this.#open(collection, known));
    }
    return false;
  }

  /** Hears how long a search of a collection has held this thread up. */
  took(collectionKey: number, ms: number): void {
    const known = this.#find(collectionKey);
    known.slow = ms > slowMs ? known.slow + 1 : 0;
    if (known.slow < slowInARowMax) return;
    known.slow = 0;
    rest(known, restMs);
  }

  /** Hears of a commit. */
  hear({ collectionKey, chunksAdded, chunksRemoved }: Commit): void {
    const known = this.#find(collectionKey);
    known.changedMs = performance.now();
    known.changes += chunksAdded + chunksRemoved.length;
    if (known.changes > limits.inThreadUnsealedMax) void this.close(collectionKey);
  }

  /** Lets go of a collection's files. It may be opened again. */
  async close(collectionKey: number): Promise<void> {
    const known = this.#known.get(collectionKey);
    if (known === undefined || known.state === "closed") return;
    known.state = "closed";
    await next(known, () => this.engine.dropCollection(collectionKey));
  }

  /** Lets go of all files. */
  closeAll(): void {
    for (const key of this.#known.keys()) void this.close(key);
  }

  /** As `close`, of a collection that is dropped. */
  async drop(collectionKey: number): Promise<void> {
    await this.close(collectionKey);
    this.#known.delete(collectionKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { work } of this.#known.values()) await work;
    await this.engine[Symbol.asyncDispose]();
  }

  #find(collectionKey: number): Known {
    let known = this.#known.get(collectionKey);
    if (known === undefined) {
      known = {
        state: "closed",
        changedMs: -Infinity,
        changes: 0,
        work: undefined,
        slow: 0,
        restsUntilMs: 0,
      };
      this.#known.set(collectionKey, known);
    }
    return known;
  }

  async #open(collection: CollectionRow, known: Known): Promise<void> {
    known.changes = 0;
    if (!(await this.#fits(collection))) {
      known.state = "closed";
      rest(known, waitMs);
      return;
    }
    try {
      await outsideRequests(() => this.engine.openCollection(collection));
      // It may have been closed meanwhile, which is done next.
      if (known.state === "opening") known.state = "open";
    } catch (error) {
      known.state = "closed";
      rest(known, restMs);
      await this.engine.dropCollection(collection.key);
      throw error;
    }
  }

  async #fits({ key }: CollectionRow): Promise<boolean> {
    const open = [...this.#known.values()].filter(({ state }) => state !== "closed");
    if (open.length > limits.inThreadCollectionsMax) return false;
    const { chunks } = await this.#store.counts(key);
    const { sequence, trimmed } = await this.#store.indexState(key);
    return chunks <= limits.inThreadChunksMax && sequence - trimmed <= limits.inThreadUnsealedMax;
  }
}

function canBeOpened({ model, quantization }: CollectionRow): boolean {
  return model === NO_MODEL && quantization === "i8";
}

/** Does something once what is being done has ended. Whoever waits is told of no failure: the engines have the collection. */
function next(known: Known, step: () => Promise<void>): Promise<void> {
  const work = (known.work ?? Promise.resolve())
    .then(step)
    .catch((error: unknown) => log.warning("index.not_in_thread", { error }))
    .finally(() => {
      if (known.work === work) known.work = undefined;
    });
  known.work = work;
  return work;
}

function rest(known: Known, ms: number): void {
  known.restsUntilMs = performance.now() + ms;
}
