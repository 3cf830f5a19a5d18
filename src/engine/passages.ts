import { setImmediate as nextTurn } from "node:timers/promises";
import { pause } from "../lib/pause.ts";
import { limits } from "../limits.ts";
import { embedOrGiveUp } from "./embed-or-give-up.ts";
import { embeddedText } from "./embedded-text.ts";
import type { ChunkVector, CollectionRow, Commit, PendingChunk, Store } from "../store/store.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";

const log = getLogger("engine");

const RETRY_MS_FIRST = 500;
const RETRY_MS_MAX = 30_000;

export type EmbedBatch = (
  model: string,
  texts: readonly string[],
) => Promise<(Float32Array | undefined)[]>;

export interface PassagesOptions {
  /** Batches under way at once; 1 by default. */
  lanes?: number;
  /** Whether a collection's chunks may be embedded; all by default. */
  accepts?: (collection: CollectionRow) => boolean;
}

interface Waiter {
  chunkKey: number;
  resolve: () => void;
}

interface Batch {
  collection: CollectionRow;
  chunks: readonly PendingChunk[];
}

/** Why models could not be loaded or run: what else waits for them is left for later. Without a name for a read that failed. */
type Failures = Map<string, unknown>;

/**
 * Embeds chunks in the background, oldest first. The store is the queue: a chunk without a vector is waiting, so a crash
 * loses nothing and a restart goes on.
 */
export class Passages implements AsyncDisposable {
  readonly #store: Store;
  readonly #embed: EmbedBatch;
  readonly #lanes: number;
  readonly #accepts: (collection: CollectionRow) => boolean;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #again = false;
  /** Tells a loop that waits that there is something. */
  #wake = (): void => {};
  #failing = false;
  /** Greatest chunk key committed, and greatest one below which no chunk waits. */
  #committedKey = 0;
  #doneKey = 0;
  /** False until what an earlier run left was embedded: its keys are not known before. */
  #backlogDone = false;
  #waiters: Waiter[] = [];

  constructor(
    store: Store,
    embed: EmbedBatch,
    { lanes = 1, accepts = () => true }: PassagesOptions = {},
  ) {
    this.#store = store;
    this.#embed = embed;
    this.#lanes = lanes;
    this.#accepts = accepts;
  }

  /** True while what waits cannot be embedded, and is tried again and again. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Looks at what waits: from an earlier run, or since more collections are accepted. */
  start(): void {
    this.#run();
  }

  /** Hears of new chunks. */
  apply({ chunkKeyLast, chunksPending }: Commit): void {
    this.#committedKey = Math.max(this.#committedKey, chunkKeyLast);
    if (chunksPending > 0) this.#run();
  }

  /** Resolves when every chunk committed before the call has its vector, or when the signal says to wait no longer. */
  async caughtUp(signal: AbortSignal): Promise<void> {
    const chunkKey = this.#backlogDone ? this.#committedKey : Infinity;
    if (this.#doneKey >= chunkKey || signal.aborted || this.#running === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ chunkKey, resolve });
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    this.#waiters = this.#waiters.filter((waiter) => waiter.resolve !== resolve);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    for (const waiter of this.#waiters) waiter.resolve();
  }

  #run(): void {
    this.#again = true;
    this.#wake();
    this.#running ??= outsideRequests(() => this.#loop()).finally(() => {
      this.#running = undefined;
      for (const waiter of this.#waiters) waiter.resolve();
    });
  }

  async #loop(): Promise<void> {
    let retryMs = RETRY_MS_FIRST;
    while (this.#again && !this.#stop.signal.aborted) {
      const failures: Failures = new Map();
      await this.#pass(failures);
      this.#failing = failures.size > 0;
      if (!this.#failing) {
        retryMs = RETRY_MS_FIRST;
        continue;
      }
      if (this.#stop.signal.aborted) return;
      const [error] = failures.values();
      log.error("embedding.failed", { error, retry_ms: retryMs });
      await this.#rest(retryMs, failures);
      this.#again = true;
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    }
  }

  /** Leaves alone for a while what failed; what comes meanwhile and has nothing to do with it is embedded. */
  async #rest(ms: number, failures: Failures): Promise<void> {
    const over = pause(ms, this.#stop.signal).then(() => true);
    while (!(await Promise.race([over, this.#woken()]))) await this.#pass(failures);
  }

  /** Resolves when something is committed. */
  #woken(): Promise<false> {
    const { promise, resolve } = Promise.withResolvers<false>();
    this.#wake = () => resolve(false);
    if (this.#again) this.#wake();
    return promise;
  }

  /** Everything that waits, once, but for the models that failed before; adds those that fail now. */
  async #pass(failures: Failures): Promise<void> {
    this.#again = false;
    try {
      const collections = await this.#store.collections();
      const able = collections.filter((one) => this.#accepts(one) && !failures.has(one.model));
      if (able.length === collections.length) return await this.#embedScope({}, failures);
      // What waits in the others may be much, and would be read again each time.
      const committedKey = this.#committedKey;
      for (const { key } of able) await this.#embedScope({ collectionKey: key }, failures);
      if (failures.size === 0 && !this.#stop.signal.aborted) this.#done(committedKey, true);
    } catch (error) {
      failures.set("", error);
    }
  }

  /** What waits in one collection, or in all. */
  async #embedScope(scope: { collectionKey?: number }, failures: Failures): Promise<void> {
    const isAll = scope.collectionKey === undefined;
    for (let after = 0; !this.#stop.signal.aborted;) {
      const committedKey = this.#committedKey;
      const page = await this.#store.pending({ ...scope, after, limit: limits.pendingReadMax });
      const last = page.at(-1);
      if (last !== undefined) await this.#embedPage(page, failures);
      if (isAll && failures.size === 0) this.#done(last?.key ?? committedKey, last === undefined);
      if (last === undefined) return;
      after = last.key;
      // Pages of a model that failed are passed over: without this in one long turn.
      await nextTurn();
    }
  }

  async #embedPage(page: readonly PendingChunk[], failures: Failures): Promise<void> {
    const collections = new Map((await this.#store.collections()).map((one) => [one.key, one]));
    const batches: Batch[] = [];
    for (const [key, chunks] of Map.groupBy(page, (chunk) => chunk.collectionKey)) {
      const collection = collections.get(key);
      // Dropped meanwhile: its rows are on their way out.
      if (collection === undefined || !this.#accepts(collection)) continue;
      for (let start = 0; start < chunks.length; start += limits.embeddingBatchMax) {
        batches.push({ collection, chunks: chunks.slice(start, start + limits.embeddingBatchMax) });
      }
    }
    await Promise.all(Array.from({ length: this.#lanes }, () => this.#lane(batches, failures)));
  }

  /** Takes batches from the list until it is empty; the lanes of a page share one list. */
  async #lane(batches: Batch[], failures: Failures): Promise<void> {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      const { model } = batch.collection;
      if (this.#stop.signal.aborted || failures.has(model)) continue;
      try {
        await this.#embedBatch(batch);
      } catch (error) {
        failures.set(model, error);
      }
    }
  }

  async #embedBatch({ collection, chunks }: Batch): Promise<void> {
    const texts = chunks.map(({ title, text }) => embeddedText(title, text));
    const { model } = collection;
    const { signal } = this.#stop;
    const vectors = await embedOrGiveUp(this.#embed, { model, texts, signal });
    const rows: ChunkVector[] = chunks.map(({ key }, index) => ({ key, vector: vectors[index] }));
    await this.#store.writeVectors(collection.key, rows);
  }

  #done(key: number, all: boolean): void {
    this.#doneKey = Math.max(this.#doneKey, key);
    const backlogDone = all && !this.#backlogDone;
    if (all) this.#backlogDone = true;
    for (const waiter of this.#waiters) {
      if (waiter.chunkKey <= this.#doneKey || (backlogDone && waiter.chunkKey === Infinity))
        waiter.resolve();
    }
  }
}
