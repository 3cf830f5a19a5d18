import { Problem } from "../problems.ts";
import type { CollectionRow, Commit, StoreRead } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { CreateVectorIndex, VectorIndex } from "../vectors/vector-index.ts";

const log = getLogger("index");

/** One vector index a collection, filled from the store when it is opened and kept in step with its commits. */
export class Indexes implements AsyncDisposable {
  readonly #create: CreateVectorIndex;
  readonly #byCollection = new Map<number, VectorIndex>();

  constructor(create: CreateVectorIndex) {
    this.#create = create;
  }

  /** Fills the index of a collection. Cost: one read of its vectors. */
  async open(store: StoreRead, collection: CollectionRow): Promise<void> {
    const start = performance.now();
    const index = this.#create(collection.dimensions);
    this.#byCollection.set(collection.key, index);
    for await (const slice of store.vectors(collection.key)) {
      for (const { key, vector } of slice) index.set(key, vector);
    }
    const duration_ms = Math.round(performance.now() - start);
    log.info("index.ready", { collection: collection.name, vectors: index.size, duration_ms });
  }

  /** Applies one commit; called in the order of the commits. */
  apply({ collectionKey, chunksRemoved, vectors }: Commit): void {
    const index = this.#byCollection.get(collectionKey);
    if (index === undefined) return;
    // In this order: a commit may add a chunk and replace it again, and a key that was removed never comes back.
    for (const { key, vector } of vectors) index.set(key, vector);
    for (const key of chunksRemoved) index.remove(key);
  }

  /** @throws Problem `collection_not_found` for a collection that was dropped while a request had it in hand */
  of(collectionKey: number): VectorIndex {
    const index = this.#byCollection.get(collectionKey);
    if (index !== undefined) return index;
    throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
  }

  async drop(collectionKey: number): Promise<void> {
    const index = this.#byCollection.get(collectionKey);
    this.#byCollection.delete(collectionKey);
    await index?.[Symbol.asyncDispose]();
  }

  /** Live vectors in all indexes. */
  get vectors(): number {
    let sum = 0;
    for (const index of this.#byCollection.values()) sum += index.size;
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const key of this.#byCollection.keys()) await this.drop(key);
  }
}
