import type { EndListener, FrameListener, LiveStream } from "../rooms/stream.ts";

/** By what a standing query's documents are found. */
export type StandingMode = "semantic" | "keyword" | "hybrid";

/** What a document did when a standing query tells of it. */
export type MatchEvent = "insert" | "update" | "leave";

/** A standing query as a client asks for it. */
export interface StandingQueryDefinition {
  text: string;
  /** A collection's name or alias. */
  collection: string;
  mode: StandingMode;
  /**
   * -1…1 cosine for `semantic`; 0…1 share of the query's words for `keyword`, by default 1; the weighted sum for
   * `hybrid`. Required unless `keyword`.
   */
  min_score?: number;
  /** JSON as in a search; checked when the query is opened. */
  filter?: unknown;
  /** By default `insert` and `update`. */
  on?: readonly MatchEvent[];
  /** What a match carries: `title`, `text`, `metadata`, `metadata.<path>`; by default title and metadata. */
  fields?: readonly string[];
}

/** A query that somebody listens to. */
export interface OpenQuery {
  /** Shared by all who asked for the same. */
  stream: LiveStream;
  minScore: number;
  /** Of the collection: `none` where vectors are the caller's. */
  model: string;
  /** Tells that this caller listens no more. A second call does nothing. */
  release(): void;
}

/** Queries that wait for documents. */
export interface StandingQueries {
  /**
   * Registers a query, or shares one that is equal. @throws Problem `invalid_request`, `invalid_filter`, `empty_text`,
   * `collection_not_found`, `limit_reached`, `model_mismatch`, `embedding_failed`, `not_ready`
   */
  open(definition: StandingQueryDefinition): Promise<OpenQuery>;
  /** Match and progress frames of all queries, `sub` = `q:<hash>`. Listeners must not throw. */
  listen(listener: FrameListener): void;
  /** Hears of queries that are over, since their collection was dropped. */
  listenEnds(listener: EndListener): void;
}
