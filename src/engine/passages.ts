import { AsyncLocalStorage } from "node:async_hooks";
import { limits } from "../limits.ts";
import { embeddedText } from "./embedded-text.ts";
import type { ChunkVector, CollectionRow, Commit, PendingChunk, Store } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";

const log = getLogger("engine");

const RETRY_MS_FIRST = 500;
const RETRY_MS_MAX = 30_000;

export type EmbedBatch = (
  model: string,
  texts: readonly string[],
) => Promise<(Float32Array | undefined)[]>;

interface Waiter {
  chunkKey: number;
  resolve: () => void;
}

/**
 * Embeds chunks in the background, oldest first. The store is the queue: a chunk without a vector is waiting, so a crash
 * loses nothing and a restart goes on.
 */
export class Passages implements AsyncDisposable {
  readonly #store: Store;
  readonly #embed: EmbedBatch;
  readonly #stop = new AbortController();
  /** The loop outlives the request that wakes it, so it must not run in that request's log context. */
  readonly #outsideRequests = AsyncLocalStorage.snapshot();
  #running: Promise<void> | undefined;
  #again = false;
  /** Greatest chunk key committed, and greatest one below which no chunk waits. */
  #committedKey = 0;
  #doneKey = 0;
  #waiters: Waiter[] = [];

  constructor(store: Store, embed: EmbedBatch) {
    this.#store = store;
    this.#embed = embed;
  }

  /** Looks at what waits from an earlier run. */
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
    const chunkKey = this.#committedKey;
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
    this.#running ??= this.#outsideRequests(() => this.#loop()).finally(() => {
      this.#running = undefined;
      for (const waiter of this.#waiters) waiter.resolve();
    });
  }

  async #loop(): Promise<void> {
    let retryMs = RETRY_MS_FIRST;
    while (this.#again && !this.#stop.signal.aborted) {
      this.#again = false;
      try {
        await this.#drain();
        retryMs = RETRY_MS_FIRST;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        log.error("embedding.failed", { error, retry_ms: retryMs });
        this.#again = true;
        await pause(retryMs, this.#stop.signal);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    }
  }

  async #drain(): Promise<void> {
    let after = 0;
    while (!this.#stop.signal.aborted) {
      const committedKey = this.#committedKey;
      const page = await this.#store.pending({ after, limit: limits.pendingReadMax });
      const last = page.at(-1);
      if (last === undefined) {
        this.#done(committedKey);
        return;
      }
      await this.#embedPage(page);
      after = last.key;
      this.#done(last.key);
    }
  }

  async #embedPage(page: readonly PendingChunk[]): Promise<void> {
    const collections = new Map((await this.#store.collections()).map((one) => [one.key, one]));
    const byCollection = Map.groupBy(page, (chunk) => chunk.collectionKey);
    const batches: Promise<void>[] = [];
    for (const [key, chunks] of byCollection) {
      const collection = collections.get(key);
      // Dropped meanwhile: its rows are on their way out.
      if (collection === undefined) continue;
      for (let start = 0; start < chunks.length; start += limits.embeddingBatchMax) {
        batches.push(
          this.#embedBatch(collection, chunks.slice(start, start + limits.embeddingBatchMax)),
        );
      }
    }
    const failure = (await Promise.allSettled(batches)).find(
      (batch) => batch.status === "rejected",
    );
    if (failure !== undefined) throw failure.reason;
  }

  async #embedBatch(collection: CollectionRow, chunks: readonly PendingChunk[]): Promise<void> {
    const texts = chunks.map(({ title, text }) => embeddedText(title, text));
    const vectors = await this.#embedAll(collection.model, texts);
    const rows: ChunkVector[] = chunks.map(({ key }, index) => ({ key, vector: vectors[index] }));
    await this.#store.writeVectors(collection.key, rows);
  }

  /**
   * A text that ends its process would hold all others up for ever. So a batch that fails is tried text by text; those
   * that fail while others do not are given up, and where all fail the reason lies elsewhere and everything waits.
   */
  async #embedAll(model: string, texts: readonly string[]): Promise<(Float32Array | undefined)[]> {
    try {
      return await this.#embed(model, texts);
    } catch (error) {
      if (this.#stop.signal.aborted || texts.length === 1) throw error;
    }
    const results: PromiseSettledResult<(Float32Array | undefined)[]>[] = [];
    for (const text of texts)
      results.push(...(await Promise.allSettled([this.#embed(model, [text])])));
    const failures = results.filter((result) => result.status === "rejected");
    if (failures.length === texts.length) throw failures[0]?.reason;
    if (failures.length > 0)
      log.error("embedding.given_up", { texts: failures.length, error: failures[0]?.reason });
    return results.map((result) => (result.status === "fulfilled" ? result.value[0] : undefined));
  }

  #done(key: number): void {
    this.#doneKey = Math.max(this.#doneKey, key);
    for (const waiter of this.#waiters) if (waiter.chunkKey <= this.#doneKey) waiter.resolve();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  return promise;
}
