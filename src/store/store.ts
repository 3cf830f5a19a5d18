import type { Chunking, Fusion, KeywordSettings, Quantization } from "../contract/collections.ts";
import type { Filter } from "./filter.ts";
import type { JobRead, JobWrite } from "./job-store.ts";
import type { RoomRead, RoomWrite } from "./room-store.ts";
import type { StandingRead, StandingWrite } from "./standing-store.ts";
import type { StoredQueryRead, StoredQueryWrite } from "./stored-query-store.ts";

/** A collection as it is stored. */
export interface CollectionRow {
  key: number;
  name: string;
  /** `none` where vectors are the caller's. */
  model: string;
  /** Of the model's weights; null where vectors are the caller's. */
  modelSha256: string | null;
  dimensions: number;
  metric: "cosine";
  chunking: Chunking;
  fusion: Required<Fusion>;
  keyword: KeywordSettings;
  quantization: Quantization;
  /**
   * Whether its chunks are being embedded again: `other_weights` while some vectors are not of `modelSha256`, so that
   * nothing can be compared with all of them.
   */
  embedAgain: "no" | "same_weights" | "other_weights";
  createdAt: string;
  updatedAt: string;
}

export type NewCollection = Omit<CollectionRow, "key" | "embedAgain" | "createdAt" | "updatedAt">;

export interface CollectionCounts {
  documents: number;
  chunks: number;
  pendingEmbeddings: number;
}

/** A span of a document's text, UTF-16 code units, half-open. */
export interface ChunkRow {
  start: number;
  end: number;
  heading: string | null;
}

/** A document to be written, checked and cut into chunks. */
export interface DocumentWrite {
  id: string;
  title: string | null;
  text: string | null;
  metadata: Record<string, unknown>;
  chunks: readonly ChunkRow[];
  /** The caller's own vector: the document is one chunk and has nothing to embed. */
  vector?: Float32Array;
}

export interface WrittenDocument {
  id: string;
  kind: "insert" | "update";
  sequence: number;
}

export interface DocumentRow {
  key: number;
  id: string;
  title: string | null;
  text: string | null;
  metadata: Record<string, unknown>;
  chunks: number;
  pendingEmbeddings: number;
  sequence: number;
  createdAt: string;
  updatedAt: string;
}

/** A chunk that waits for its vector. */
export interface PendingChunk {
  key: number;
  collectionKey: number;
  title: string | null;
  text: string;
}

/** A chunk's vector, `dimensions` long and L2-normalised, or undefined where the model found nothing in the text. */
export interface ChunkVector {
  key: number;
  vector: Float32Array | undefined;
}

/** What of a collection is to be embedded again: chunks with keys up to one, and how many there are. */
export interface EmbedAgain {
  upTo: number;
  chunks: number;
}

/** What a keyword index reads of a chunk. */
export interface ChunkText {
  key: number;
  title: string | null;
  text: string | null;
}

/** An entry of a collection's index log. */
export interface IndexChange {
  sequence: number;
  chunkKey: number;
  change: "text" | "vector" | "removed";
}

/** A chunk that the keyword index found. `score` is BM25, higher is better. */
export interface KeywordMatch {
  chunkKey: number;
  documentKey: number;
  score: number;
}

/** What a text must have: one of the words, and each of the phrases. At least one word or phrase. */
export interface KeywordWords {
  /** Never an expression. */
  terms: readonly string[];
  phrases?: readonly string[];
  /** The last word stands for all that begin so. */
  prefix?: boolean;
}

export interface KeywordSearch extends KeywordWords {
  collectionKey: number;
  filter?: Filter;
  limit: number;
}

/** A chunk with what is needed to show it. */
export interface ChunkHit {
  chunkKey: number;
  documentKey: number;
  id: string;
  title: string | null;
  /** The chunk's own text; null where the document has none. */
  text: string | null;
  metadata: Record<string, unknown>;
  position: number;
  start: number;
  end: number;
  heading: string | null;
}

/** What one COMMIT changed, told in the order of the commits. */
export interface Commit {
  collectionKey: number;
  /** The last change number of this commit; unchanged where only vectors were written for the first time. */
  sequence: number;
  documents: readonly { id: string; kind: "insert" | "update" | "delete"; sequence: number }[];
  /** The collection's last index log entry. */
  indexSequence: number;
  chunksRemoved: readonly number[];
  chunksAdded: number;
  /** Chunks added without a vector. */
  chunksPending: number;
  /** Greatest key of a chunk added by this commit, 0 for none. Keys only grow. */
  chunkKeyLast: number;
}

export interface StoredAnswer {
  requestSha256: string;
  answer: string;
}

/** One page of documents in id order. */
export interface DocumentPage {
  collectionKey: number;
  filter?: Filter;
  /** Ids greater than this, by code point. */
  after?: string;
  limit: number;
}

/** What never changes anything. */
export interface StoreRead extends RoomRead, StandingRead, StoredQueryRead, JobRead {
  /** Random id of this database's life: new after a restore, not after a restart. */
  readonly epoch: string;
  /** The last change number given out. */
  readonly sequence: number;
  /** Another text after every commit, whoever made it: what was read before it may be remembered until then. */
  version(): string;
  collections(): Promise<CollectionRow[]>;
  /** By name or alias. */
  collection(name: string): Promise<CollectionRow | undefined>;
  counts(collectionKey: number): Promise<CollectionCounts>;
  pendingTotal(): Promise<number>;
  aliases(): Promise<{ name: string; collection: string }[]>;
  document(collectionKey: number, id: string): Promise<DocumentRow | undefined>;
  documents(page: DocumentPage): Promise<DocumentRow[]>;
  /** Documents that match, or all. */
  countDocuments(collectionKey: number, filter?: Filter): Promise<number>;
  /** Keys of the chunks of the documents that match. */
  chunksMatching(collectionKey: number, filter: Filter): Promise<Set<number>>;
  /** Documents that match, in key order, without those named: what fills a result up. */
  documentsMatching(
    collectionKey: number,
    options: { filter?: Filter; without: readonly number[]; limit: number },
  ): Promise<{ documentKey: number; chunkKey: number }[]>;
  /** Best first, by the store's own full-text tables. @throws where the store keeps none */
  keyword(search: KeywordSearch): Promise<KeywordMatch[]>;
  /**
   * In how many chunks each word stands, and how many chunks there are. Words are given in the index's own form: folded
   * and stemmed.
   */
  wordFrequencies(
    collectionKey: number,
    forms: readonly string[],
  ): Promise<{ chunks: number; counts: number[] }>;
  /** Documents with any of the words. */
  countKeyword(search: Omit<KeywordSearch, "limit">): Promise<number>;
  /** The documents of chunks; chunks that are gone are left out. */
  documentsOfChunks(chunkKeys: readonly number[]): Promise<Map<number, number>>;
  hits(chunkKeys: readonly number[]): Promise<Map<number, ChunkHit>>;
  facet(
    collectionKey: number,
    options: { path: readonly string[]; filter?: Filter; limit: number },
  ): Promise<{ value: unknown; count: number }[]>;
  /** Chunks without a vector, of all collections or of one, oldest first, with keys above `after`. */
  pending(options: {
    after: number;
    limit: number;
    collectionKey?: number;
  }): Promise<PendingChunk[]>;
  /**
   * Chunks with keys above `after` and up to `upTo`, oldest first. Those that wait are among them: passing many over would
   * be one long read.
   */
  chunksUpTo(options: {
    collectionKey: number;
    after: number;
    upTo: number;
    limit: number;
  }): Promise<(PendingChunk & { isPending: boolean })[]>;
  /** The last entry of a collection's index log, and the one up to which the log was cut off. */
  indexState(collectionKey: number): Promise<{ sequence: number; trimmed: number }>;
  /** Index log entries after a number, in order. */
  indexLog(
    collectionKey: number,
    options: { after: number; limit: number },
  ): Promise<IndexChange[]>;
  /** Keys of the chunks that have words, or vectors, in order. */
  indexedKeys(
    collectionKey: number,
    options: { what: "text" | "vector"; after: number; limit: number },
  ): Promise<number[]>;
  /** Chunks that are gone are left out. */
  chunkTexts(chunkKeys: readonly number[]): Promise<ChunkText[]>;
  /** Chunks that are gone or have no vector are left out. */
  chunkVectors(chunkKeys: readonly number[]): Promise<{ key: number; vector: Float32Array }[]>;
  answer(key: string): Promise<StoredAnswer | undefined>;
  /** What is wrong with the data, in sentences. Reads all of it. */
  check(): Promise<string[]>;
  /** Bytes that the data takes on disk. */
  diskBytes(): Promise<number>;
  /** Milliseconds that `SELECT 1` takes. @throws when the database does not answer */
  ping(): Promise<number>;
}

/**
 * The one truth. A promise of a write resolves after COMMIT, with the data synced to disk; listeners of `onCommit` have
 * been called before it does.
 */
export interface Store
  extends StoreRead, RoomWrite, StandingWrite, StoredQueryWrite, JobWrite, AsyncDisposable {
  /** @throws Problem `name_taken`, `limit_reached` */
  createCollection(collection: NewCollection): Promise<CollectionRow>;
  setFusion(collectionKey: number, fusion: Required<Fusion>): Promise<void>;
  /** Frees the name at once and removes the rows in slices. */
  dropCollection(collectionKey: number): Promise<void>;
  /** Points an alias at a collection, in one step. @throws Problem `name_taken`, `limit_reached` */
  putAlias(name: string, collectionKey: number): Promise<void>;
  /** True if there was one. */
  removeAlias(name: string): Promise<boolean>;
  /** All or none. At most `limits.documentsPerTransactionMax`. @throws Problem `storage_full` */
  writeDocuments(
    collectionKey: number,
    documents: readonly DocumentWrite[],
  ): Promise<WrittenDocument[]>;
  /** Those that existed. At most `limits.documentsPerTransactionMax`. */
  deleteDocuments(collectionKey: number, ids: readonly string[]): Promise<number>;
  /** Vectors of chunks that have gone meanwhile are left out. */
  writeVectors(collectionKey: number, vectors: readonly ChunkVector[]): Promise<void>;
  /**
   * Notes that all chunks of a collection are to be embedded again by weights of a hash, or gives what is left of that where
   * it was noted before. Vectors are of those weights from now on. @throws Problem `collection_not_found`
   */
  beginEmbedAgain(collectionKey: number, modelSha256: string): Promise<EmbedAgain>;
  /**
   * Puts chunks with other vectors in the place of those named, in one step, and gives how many there were: a chunk's
   * vector never changes, so each gets a new key. The change number moves on, though no document has changed. At most
   * `limits.chunksEmbeddedAgainMax`. @throws Problem `collection_not_found`
   */
  embedAgain(collectionKey: number, vectors: readonly ChunkVector[]): Promise<number>;
  /**
   * Notes that everything was embedded again. Where the weights are other ones, queries that tell of documents that match
   * no longer begin anew. @throws Problem `collection_not_found`
   */
  endEmbedAgain(collectionKey: number): Promise<void>;
  /** Cuts the index log off up to a number: every index has it in sealed segments. */
  trimIndexLog(collectionKey: number, sequence: number): Promise<void>;
  putAnswer(key: string, answer: StoredAnswer): Promise<void>;
  /** Gives free space back to the file system, in slices. */
  giveBack(): Promise<void>;
  /** Called in the order of the commits, before the write's promise resolves. Must not throw. */
  onCommit(listener: (commit: Commit) => void): void;
}
