import { valueWithin } from "../lib/within.ts";
import type { ModelInfo } from "../embedding/embedder.ts";
import { queryEncoderModel } from "../embedding/model-files.ts";
import { listModels, modelInfo } from "../embedding/open-embedder.ts";
import { openQueryEncoder } from "../embedding/query-encoder.ts";
import type { Analyser } from "../keyword/analyser.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { CollectionRow, StoreRead } from "../store/store.ts";
import type { Neighbour, VectorSearch } from "../vectors/vector-index.ts";
import { createVectorKind } from "../vectors/vector-kind.ts";
import type { CollectionIndex, IndexReport, Words } from "./collection-index.ts";
import { countQueryText } from "./embedding-numbers.ts";
import { Indexes, type IndexesOptions } from "./indexes.ts";
import { Models } from "./models.ts";

export type { Neighbour } from "../vectors/vector-index.ts";
export type { Words } from "./collection-index.ts";

/** The name of the model of collections whose vectors are the caller's. */
export const NO_MODEL = "none";

export interface EngineOptions extends Omit<IndexesOptions, "words"> {
  /** Who answers keyword searches: our own index, the store's tables, or these while the index is not in step. */
  keywordIndex: "postings" | "fts5" | "both";
}

/**
 * Query embedding, vector search and keyword search in this process. The indexes follow the store by its index log, so
 * any number of engines may stand beside each other.
 */
export class Engine implements AsyncDisposable {
  readonly #store: StoreRead;
  /** The models of this process. */
  readonly models = new Models();
  #fastQueries: ReturnType<typeof openQueryEncoder> | undefined;
  readonly #indexes: Indexes;
  /** The store's tables are kept in step too. */
  readonly #hasStandBy: boolean;

  /** Opens every collection's indexes, unless its role is to do so later, and waits for them to catch up, for a while. */
  static async open(store: StoreRead, options: EngineOptions): Promise<Engine> {
    const engine = new Engine(store, options);
    const { role } = options;
    if (role.kind === "follower" && role.opensLater === true) return engine;
    // A native library that is missing is told at the start, and not by the first collection.
    await createVectorKind({ dimensions: 1, engine: options.vectorEngine });
    const collections = await store.collections();
    if (role.kind === "owner") engine.#indexes.removeStrangers(collections);
    const opened: CollectionIndex[] = [];
    for (const collection of collections) opened.push(await engine.#indexes.open(collection));
    await valueWithin(limits.catchUpMsMax, Promise.all(opened.map(({ ready }) => ready)));
    return engine;
  }

  private constructor(store: StoreRead, { keywordIndex, ...options }: EngineOptions) {
    this.#store = store;
    this.#hasStandBy = keywordIndex === "both";
    this.#indexes = new Indexes(store, { ...options, words: keywordIndex !== "fts5" });
  }

  /** Opens the indexes of a new collection. */
  async openCollection(collection: CollectionRow): Promise<void> {
    const index = await this.#indexes.open(collection);
    await index.ready;
  }

  /** As `Indexes.rebuild`. */
  rebuild(collection: CollectionRow): Promise<void> {
    return this.#indexes.rebuild(collection);
  }

  dropCollection(collectionKey: number): Promise<void> {
    return this.#indexes.drop(collectionKey);
  }

  /** Hears that a collection's index log grew. */
  hear(collectionKey: number): void {
    this.#indexes.find(collectionKey)?.hear();
  }

  /** Hears that a collection's owner has sealed segments. */
  hearSealed(collectionKey: number): void {
    this.#indexes.find(collectionKey)?.hearSealed();
  }

  /**
   * Resolves when all that was committed before the call can be found. To be awaited before a search, which may have
   * asked the store for its version already.
   * @throws Problem `collection_not_found` for a collection that was dropped meanwhile
   */
  async reach(collection: CollectionRow, version = this.#store.version()): Promise<void> {
    const index = this.#indexes.find(collection.key) ?? (await this.#openLate(collection));
    await index.reach(version);
  }

  /** Opening something ended this process before: the owner of the files should look at it. */
  get suspicious(): boolean {
    return this.#indexes.all().some((index) => index.suspicious);
  }

  /** A query's vector in a collection's space, or undefined where the model finds nothing in the text. */
  async embedQuery(collection: CollectionRow, text: string): Promise<Float32Array | undefined> {
    requireSameWeights(collection);
    countQueryText();
    const embedder = await this.models.open(collection.model);
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
    countQueryText();
    this.#fastQueries ??= openQueryEncoder();
    const opening = this.#fastQueries;
    opening.catch(() => (this.#fastQueries = undefined));
    return (await opening).embed(text);
  }

  /** Loads what the collections' queries need, so that the first one does not wait for it. */
  async warm(): Promise<void> {
    const names = new Set((await this.#store.collections()).map(({ model }) => model));
    for (const { name } of listModels()) if (names.has(name)) await this.models.open(name);
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
  findIndex(collectionKey: number): CollectionIndex | undefined {
    return this.#indexes.find(collectionKey);
  }

  /** How the indexes of all collections are. */
  indexReports(): IndexReport[] {
    return this.#indexes.reports();
  }

  /** Waits for room for another write. @throws Problem `memory_full`, `storage_full` */
  room(collectionKey: number): Promise<void> {
    return this.#indexes.room(collectionKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.models[Symbol.asyncDispose]();
    await this.#indexes[Symbol.asyncDispose]();
  }

  /** A search may come before the news of its collection. */
  async #openLate({ name, key }: CollectionRow): Promise<CollectionIndex> {
    const collection = await this.#store.collection(name);
    if (collection?.key !== key)
      throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
    const index = await this.#indexes.open(collection);
    await valueWithin(limits.catchUpMsMax, index.ready);
    return index;
  }
}

/** What is known of an installed model. @throws Problem `unknown_model` */
export function findModel(name: string): ModelInfo {
  return modelInfo(name);
}

/** The installed models. */
export function installedModels(): ModelInfo[] {
  return listModels();
}

/** @throws Problem `model_mismatch` where some of the collection's vectors were made by other weights than are installed now */
export function requireSameWeights(collection: CollectionRow): void {
  const { name, model, embedAgain } = collection;
  const embedAll = `POST /api/v1/collections/${name}/reindex?embed=all`;
  if (!hasSameWeights(collection)) {
    throw new Problem(
      "model_mismatch",
      `The weights of ${model} are not those that embedded this collection; ${embedAll} embeds it again, and words find it until then.`,
    );
  }
  if (embedAgain !== "other_weights") return;
  throw new Problem(
    "model_mismatch",
    `The collection is being embedded again by other weights of ${model}, and words find it until that is done; where its job was stopped, ${embedAll} goes on.`,
  );
}

/** By what is embedded from now on. Also false where the model is not installed any more. */
export function hasSameWeights({ model, modelSha256 }: CollectionRow): boolean {
  return (
    model === NO_MODEL ||
    listModels().some((one) => one.name === model && one.sha256 === modelSha256)
  );
}
