import { availableParallelism } from "node:os";
import type { CountTokens, ModelInfo } from "../embedding/embedder.ts";
import { queryEncoderModel } from "../embedding/model-files.ts";
import { listModels, modelInfo } from "../embedding/open-embedder.ts";
import { openQueryEncoder } from "../embedding/query-encoder.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { Analyser } from "../keyword/analyser.ts";
import type { BuildJob } from "../segments/segment-kind.ts";
import type { CollectionRow, Commit, Store } from "../store/store.ts";
import type { Neighbour, VectorSearch } from "../vectors/vector-index.ts";
import { createVectorKind } from "../vectors/vector-kind.ts";
import { Builder } from "./builder.ts";
import { ChildPool } from "./child-pool.ts";
import type { CollectionIndex, IndexReport, Words } from "./collection-index.ts";
import { Indexes, type IndexesOptions } from "./indexes.ts";
import { Models } from "./models.ts";
import { Passages } from "./passages.ts";

export type { Neighbour } from "../vectors/vector-index.ts";
export type { Words } from "./collection-index.ts";

/** The name of the model of collections whose vectors are the caller's. */
export const NO_MODEL = "none";

export interface EngineOptions extends Omit<IndexesOptions, "run" | "words"> {
  /** Who answers keyword searches: our own index, the store's tables, or these while the index is not in step. */
  keywordIndex: "postings" | "fts5" | "both";
  /** Embedding children; 0 embeds in this process, undefined lets the machine decide. */
  children: number | undefined;
}

/**
 * Embedding, vector search and keyword search for the features: queries in this process; documents are embedded and
 * segments built in children of it. Indexes follow the store's commits.
 */
export class Engine implements AsyncDisposable {
  readonly #models = new Models();
  readonly #pool: ChildPool | undefined;
  readonly #builder: Builder | undefined;
  #fastQueries: ReturnType<typeof openQueryEncoder> | undefined;
  readonly #indexes: Indexes;
  readonly #passages: Passages;
  /** The store's tables are kept in step too. */
  readonly #hasStandBy: boolean;

  /** Opens every collection's indexes and goes on with what was waiting to be embedded. */
  static async open(store: Store, options: EngineOptions): Promise<Engine> {
    const engine = new Engine(store, options);
    store.onCommit((commit) => engine.#apply(commit));
    // A native library that is missing is told at the start, and not by the first collection.
    await createVectorKind({ dimensions: 1, engine: options.vectorEngine });
    const opened: CollectionIndex[] = [];
    const collections = await store.collections();
    engine.#indexes.removeStrangers(collections);
    for (const collection of collections) opened.push(await engine.#indexes.open(collection));
    await within(limits.catchUpMsMax, Promise.all(opened.map(({ ready }) => ready)));
    engine.#passages.start();
    return engine;
  }

  private constructor(store: Store, { children, keywordIndex, ...options }: EngineOptions) {
    this.#hasStandBy = keywordIndex === "both";
    const count = children ?? Math.min(4, Math.max(1, availableParallelism() - 1));
    this.#pool = count === 0 ? undefined : new ChildPool(count);
    const builder = count === 0 ? undefined : new Builder();
    this.#builder = builder;
    const run = builder && ((job: BuildJob, signal: AbortSignal) => builder.run(job, signal));
    this.#indexes = new Indexes(store, { ...options, run, words: keywordIndex !== "fts5" });
    this.#passages = new Passages(store, (model, texts) => this.#embedBatch(model, texts), {
      lanes: Math.max(1, count),
      accepts: hasSameWeights,
    });
  }

  /** Opens the indexes of a new collection. */
  async openCollection(collection: CollectionRow): Promise<void> {
    await (
      await this.#indexes.open(collection)
    ).ready;
  }

  dropCollection(collectionKey: number): Promise<void> {
    return this.#indexes.drop(collectionKey);
  }

  /** Live vectors of all collections. */
  get vectors(): number {
    return this.#indexes.vectors;
  }

  /** What is known of an installed model. @throws Problem `unknown_model` */
  model(name: string): ModelInfo {
    return modelInfo(name);
  }

  /** The installed models. */
  models(): ModelInfo[] {
    return listModels();
  }

  /** Counts tokens as a model does. @throws Problem `unknown_model`, `model_damaged`, `native_missing` */
  async tokenCounter(model: string): Promise<CountTokens> {
    const embedder = await this.#models.open(model);
    return (text) => embedder.countTokens(text);
  }

  /** A query's vector in a collection's space, or undefined where the model finds nothing in the text. */
  async embedQuery(collection: CollectionRow, text: string): Promise<Float32Array | undefined> {
    requireSameWeights(collection);
    const embedder = await this.#models.open(collection.model);
    return (await embedder.embed([text]))[0];
  }

  /** Whether queries of a collection can be embedded without its model. */
  hasFastQueries({ model }: CollectionRow): boolean {
    return model === queryEncoderModel.info.name;
  }

  /**
   * As `embedQuery`, by a small encoder into the same space: microseconds where the model takes milliseconds. Its vectors
   * are for finding only, and never compared with thresholds or kept beside the model's.
   */
  async embedQueryFast(collection: CollectionRow, text: string): Promise<Float32Array | undefined> {
    requireSameWeights(collection);
    this.#fastQueries ??= openQueryEncoder();
    const opening = this.#fastQueries;
    opening.catch(() => (this.#fastQueries = undefined));
    return (await opening).embed(text);
  }

  /** One vector per text; many texts go to the children. @throws Problem `busy`, `embedding_failed`, `unknown_model` */
  async embed(model: ModelInfo, texts: readonly string[]): Promise<(Float32Array | undefined)[]> {
    if (texts.length <= limits.embeddingInlineMax)
      return (await this.#models.open(model.name)).embed(texts);
    const batches: Promise<(Float32Array | undefined)[]>[] = [];
    for (let start = 0; start < texts.length; start += limits.embeddingBatchMax) {
      batches.push(
        this.#embedBatch(model.name, texts.slice(start, start + limits.embeddingBatchMax)),
      );
    }
    return (await Promise.all(batches)).flat();
  }

  /** The chunks nearest to a vector, best first, as the vector index promises. */
  nearest(collection: CollectionRow, search: VectorSearch): Neighbour[] {
    return this.#indexes.of(collection.key).nearest(search);
  }

  /** A collection's keyword index; undefined where the store's own tables have to answer. */
  words(collection: CollectionRow): Words | undefined {
    const index = this.#indexes.of(collection.key);
    return this.#hasStandBy && index.report().catchingUp ? undefined : index.words;
  }

  /** What reads words for a collection's keyword index, or as the store's tables do where these answer. */
  analyser(collection: CollectionRow): Analyser {
    return this.#indexes.of(collection.key).analyser;
  }

  /** Vectors of one collection that can be found now. */
  vectorsOf(collection: CollectionRow): number {
    return this.#indexes.of(collection.key).vectors;
  }

  /** The indexes of one collection, for whoever looks after them; undefined while it is being made or dropped. */
  findIndex(collection: CollectionRow): CollectionIndex | undefined {
    return this.#indexes.find(collection.key);
  }

  /** As `findIndex`. @throws Problem `collection_not_found` where there is none */
  indexOf(collection: CollectionRow): CollectionIndex {
    return this.#indexes.of(collection.key);
  }

  /** How the indexes of all collections are. */
  indexReports(): IndexReport[] {
    return this.#indexes.reports();
  }

  /** Waits for room for another write. @throws Problem `memory_full`, `storage_full` */
  room(collection: CollectionRow): Promise<void> {
    return this.#indexes.room(collection.key);
  }

  /** Resolves when all that was committed before the call can be found by meaning, or when the signal ends the wait. */
  caughtUp(signal: AbortSignal): Promise<void> {
    return this.#passages.caughtUp(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Children first: the passages' loop may be waiting for one, and what it had is still marked as waiting in the store.
    const stopping = this.#passages[Symbol.asyncDispose]();
    await this.#pool?.[Symbol.asyncDispose]();
    await stopping;
    await this.#models[Symbol.asyncDispose]();
    await this.#indexes[Symbol.asyncDispose]();
    await this.#builder?.[Symbol.asyncDispose]();
  }

  #apply(commit: Commit): void {
    this.#indexes.apply(commit);
    this.#passages.apply(commit);
  }

  async #embedBatch(
    model: string,
    texts: readonly string[],
  ): Promise<(Float32Array | undefined)[]> {
    if (this.#pool !== undefined) return this.#pool.embed(model, texts);
    return (await this.#models.open(model)).embed(texts);
  }
}

/** Waits for some work, but no longer than that. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}

/** @throws Problem `model_mismatch` where the collection's vectors were made by other weights than are installed now */
export function requireSameWeights(collection: CollectionRow): void {
  if (hasSameWeights(collection)) return;
  throw new Problem(
    "model_mismatch",
    `The weights of ${collection.model} are not those that embedded this collection; make a new collection and ingest again.`,
  );
}

/** Also false where the model is not installed any more. */
function hasSameWeights({ model, modelSha256 }: CollectionRow): boolean {
  return (
    model === NO_MODEL ||
    listModels().some((one) => one.name === model && one.sha256 === modelSha256)
  );
}
