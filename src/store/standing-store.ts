/** What matching reads of a chunk. */
export interface ChunkContent {
  /** UTF-16 code units into the document's text. */
  start: number;
  text: string | null;
  /** Undefined where the chunk has none, or none was asked for. */
  vector: Float32Array | undefined;
}

/** What matching reads of a document. */
export interface DocumentContent {
  title: string | null;
  /** JSON text. */
  metadata: string;
  /** In the order of the text. */
  chunks: readonly ChunkContent[];
}

/** The last change of a document. */
export interface DocumentChange {
  sequence: number;
  id: string;
  /**
   * Sequence of the insert of its present life; where vectors are waited for, of the first version in it that was not
   * replaced while it waited.
   */
  inserted: number;
  /** Undefined where the document was deleted. */
  document: DocumentContent | undefined;
}

/** Changes of a collection after one number and up to another. */
export interface ChangeRange {
  after: number;
  /** The last change there is by default. */
  upTo?: number;
  limit: number;
}

export interface ChangePage {
  /** In order. The page ends early before it gets too large, but has at least one where there is any. */
  changes: DocumentChange[];
  /** Everything up to this number is in this page or before it. */
  upTo: number;
  /** True where there is nothing more within the range, or what is next waits for its vectors. */
  done: boolean;
  waits: boolean;
}

export interface DocumentContentPage {
  documents: DocumentChange[];
  /** The id after which the next page begins; undefined where there are no more. */
  last: string | undefined;
}

/** Whether a document matches a query that tells of those that match no longer. */
export interface StandingMatch {
  query: string;
  documentId: string;
  /** Of the change by which it came in, or left. */
  sequence: number;
  inside: boolean;
}

/** How far the rows of a query can be trusted, in change numbers. */
export interface StandingState {
  /** They are right up to here; -1 while they are being written for the first time. */
  sequence: number;
  /** What left with a change up to here is not known. */
  knownFrom: number;
}

/** What is kept of queries that tell of documents that match no longer. */
export interface StandingUpdate {
  collectionKey: number;
  matches: readonly StandingMatch[];
  /** What is known of these queries; where `knownFrom` is missing it stays, and the query has to be there. */
  queries: readonly (Omit<StandingState, "knownFrom"> & {
    query: string;
    knownFrom?: number;
  })[];
  /** Documents that left with a change up to this number are forgotten. */
  forgetUpTo?: number;
}

/** What a store knows for standing queries. */
export interface StandingRead {
  /**
   * The documents of a collection that changed, each once, with its last change. With `vectors` a page ends before a
   * document that still waits for its vectors. @throws Problem `collection_not_found`
   */
  changedDocuments(
    collectionKey: number,
    range: ChangeRange & { vectors: boolean },
  ): Promise<ChangePage>;
  /** As `changedDocuments` without what the documents are, and past those that wait for their vectors. */
  changeList(
    collectionKey: number,
    range: Required<ChangeRange> & { vectors: boolean },
  ): Promise<Omit<DocumentChange, "document">[]>;
  /** How many documents have their last change in a range, counted up to its limit. */
  countChanges(collectionKey: number, range: ChangeRange): Promise<number>;
  /**
   * The change number of a collection, `limit` of its changes before the last one; 0 where there are fewer.
   */
  changeBefore(collectionKey: number, limit: number): Promise<number>;
  /** Up to which change number nothing waits for its vectors any more. */
  embeddedUpTo(collectionKey: number): Promise<number>;
  /**
   * Documents in the order of their ids, after one; with `vectors` without those that still wait for theirs. The page ends
   * early before it gets too large. @throws Problem `collection_not_found`
   */
  documentContents(
    collectionKey: number,
    options: { after: string; limit: number; vectors: boolean },
  ): Promise<DocumentContentPage>;
  /** Undefined for a query of which nothing is kept. */
  standingState(query: string): Promise<StandingState | undefined>;
  /**
   * The queries that a document matches, of those that tell of documents that match no longer; with `leftWith` also those
   * that it left with this change.
   */
  standingInside(collectionKey: number, documentId: string, leftWith?: number): Promise<string[]>;
  /** Documents that match a query by its rows and are gone since, up to a change, with its number. */
  standingGone(
    query: string,
    options: { upTo: number },
  ): Promise<{ documentId: string; sequence: number }[]>;
  /** Documents that left a query's matches, by the number of the change. */
  standingLeft(
    query: string,
    range: Required<ChangeRange>,
  ): Promise<{ documentId: string; sequence: number }[]>;
}

/** The writes of standing queries, each acknowledged after COMMIT. */
export interface StandingWrite {
  /** Nothing happens where the collection was dropped meanwhile, nor for a query that was forgotten. */
  keepStanding(update: StandingUpdate): Promise<void>;
  /**
   * Removes a slice of the rows of queries that were last kept up before a time, and of the oldest where there are more than
   * `limits.standingLeaveQueriesKeptMax`. False when nothing was left to remove.
   */
  forgetStanding(options: { usedBeforeMs: number; except: readonly string[] }): Promise<boolean>;
}
