/** A row that a search found. `score` is cosine similarity, -1…1, higher is better. */
export interface Neighbour {
  key: number;
  score: number;
}

/**
 * Keys that may be returned, each once. A `Set` is one; `SortedKeys` takes a sixth of its memory. Keys that come in
 * ascending order are looked up fastest.
 */
export type AllowedKeys = Pick<ReadonlySet<number>, "size" | "has"> & Iterable<number>;

export interface VectorSearch {
  /** `dimensions` long, L2-normalised; only read. */
  vector: Float32Array;
  /** At least 1. */
  k: number;
  /** Keys that may be returned; absent means all. */
  allowed?: AllowedKeys;
}

/** What a reader may ask of a vector index. */
export interface VectorIndexRead {
  readonly dimensions: number;
  /** Live vectors. */
  readonly size: number;
  has(key: number): boolean;
  /**
   * The best `k` live vectors by cosine similarity, best first, ties by key. With `allowed` the promise is exact in
   * number: min(k, allowed ∩ live) neighbours come back, however few that is.
   */
  search(search: VectorSearch): Neighbour[];
}

/**
 * Vector -> neighbours. Keys are positive safe integers; vectors are `dimensions` long and L2-normalised, and are
 * copied in. Callers have checked them: an implementation asserts and does not repair.
 */
export interface VectorIndex extends VectorIndexRead, AsyncDisposable {
  /** Adds the vector, or replaces the one that has this key. It is searchable when the call returns. */
  set(key: number, vector: Float32Array): void;
  /** Forgets the key. True if it was there. */
  remove(key: number): boolean;
  /** Heap and native bytes held, estimated from counts; mapped files are not counted. */
  readonly bytes: number;
}

export type CreateVectorIndex = (dimensions: number) => VectorIndex;
