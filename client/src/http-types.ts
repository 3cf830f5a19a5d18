import type { LostReason, MatchKind, Mode, Publication, StandingQuery } from "./values.ts";

// Bodies of the HTTP API. `/api/docs` of a server says more about each field.

/** A page of a list: `next_cursor` is null on the last one. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** How keyword and semantic scores become one; `weight` is the semantic share, 0…1. */
export interface Fusion {
  method: "weighted" | "rrf";
  weight?: number;
}

export interface CollectionInput {
  name: string;
  /** A model of `GET /v1/models`, or "none": vectors are the caller's, `dimensions` required. */
  model?: string;
  dimensions?: number;
  metric?: "cosine";
  chunking?: { strategy?: "auto" | "none"; tokens_max?: number; tokens_overlap?: number };
  fusion?: Fusion;
  keyword?: {
    language?: string;
    stop_words?: boolean;
    title_weight?: number;
    text_weight?: number;
  };
  quantization?: "f16" | "f32" | "i8";
}

export interface Collection {
  name: string;
  model: string;
  dimensions: number;
  fusion: Required<Fusion>;
  documents: number;
  chunks: number;
  /** Chunks that keyword search sees and semantic search does not yet. */
  pending_embeddings: number;
  aliases: string[];
  created_at: string;
  updated_at: string;
  [field: string]: unknown;
}

export interface DocumentInput {
  /** Made by the server when missing; the same id replaces. */
  id?: string;
  title?: string;
  text?: string;
  metadata?: Readonly<Record<string, unknown>>;
  /** Only in collections with model "none"; a string is base64 of little-endian float32. */
  vector?: readonly number[] | string;
}

export interface Document {
  id: string;
  title: string | null;
  text: string | null;
  metadata: Record<string, unknown>;
  chunks: number;
  pending_embeddings: number;
  sequence: number;
  created_at: string;
  updated_at: string;
}

export interface UpsertResult {
  upserted: number;
  /** Pass it to a search as `min_sequence` to find what was written here. */
  sequence: number;
  items: {
    id: string | null;
    status: "created" | "replaced" | "failed";
    error?: { code: string; detail: string };
  }[];
  pending_embeddings: number;
}

export interface DeleteResult {
  deleted: number;
  sequence: number;
}

export interface SearchRequest {
  query?: string;
  /** As a document's. */
  vector?: readonly number[] | string;
  query_encoder?: "full" | "fast" | "rescored";
  mode?: Mode;
  k?: number;
  offset?: number;
  filter?: Readonly<Record<string, unknown>>;
  fusion?: Fusion;
  min_score?: number;
  group_by?: "document" | "chunk";
  highlight?: boolean;
  fields?: readonly ("title" | "text" | "metadata")[];
  facets?: readonly string[];
  explain?: boolean;
  prefix?: boolean;
  typo?: boolean;
  min_sequence?: number;
}

export interface Hit {
  id: string;
  /** The best chunk; `start` and `end` are UTF-16 code units into the document's text. */
  chunk?: { index: number; start: number; end: number; heading: string | null };
  score: number;
  scores?: {
    semantic: number | null;
    keyword: number | null;
    semantic_share: number;
    keyword_share: number;
    semantic_rank: number | null;
    keyword_rank: number | null;
  };
  title?: string | null;
  text?: string | null;
  /** UTF-16 code units into this hit's field. */
  highlights: { field: "title" | "text"; start: number; end: number }[];
  metadata?: Record<string, unknown>;
}

export interface SearchResult {
  hits: Hit[];
  total_estimate?: number;
  facets?: Record<string, { value: unknown; count: number }[]>;
  explain?: Record<string, unknown>;
  /** By words only: what searches by meaning is not available. */
  degraded?: boolean;
  took_ms: number;
  model: string;
  sequence: number;
}

export interface Published {
  offset: number;
  ts: string;
  /** The key was used before: this is what came of it then. */
  duplicate?: true;
}

export interface HistoryPage {
  items: Publication[];
  more: boolean;
  epoch: string;
  /** The room's last offset. */
  head: number;
  /** The lowest offset that can be read; one past the head where nothing is kept. */
  oldest: number;
}

export interface RoomPresence {
  room: string;
  count: number;
  members: string[];
}

export interface RoomSettings {
  /** Messages kept, 0 to 100,000; 0 is a room without a past. */
  history_messages?: number;
  history_seconds?: number;
}

export interface Room extends Required<RoomSettings> {
  name: string;
  head: number;
}

/** A standing query to be kept though nobody is connected. */
export interface NewStoredQuery extends StandingQuery {
  /** Where matches are sent; a `secret` is made where none is given. */
  webhook?: { url: string; secret?: string };
}

export interface StoredQuery {
  id: string;
  collection: string;
  text: string;
  mode: Mode;
  min_score: number;
  filter?: Record<string, unknown>;
  on: MatchKind[];
  fields: string[];
  epoch: string;
  /** Its matches are those of the changes after this one. */
  offset: number;
  /** Its name on live connections; null while the server opens it again. */
  stream: string | null;
  error: string | null;
  created_at: string;
  webhook: StoredWebhook | null;
}

export interface StoredWebhook {
  url: string;
  offset: number;
  waiting: number;
  delivered: number;
  given_up: number;
  disabled_at: string | null;
  last_error: { at: string; message: string } | null;
  /** What requests are signed with: in the answer to `create` alone. */
  secret?: string;
}

export interface StoredMatches {
  items: {
    offset: number;
    doc: string;
    version: number;
    event: MatchKind;
    score: number | null;
    data: Record<string, unknown>;
  }[];
  /** Position to go on from. */
  next: string;
  more: boolean;
  /** What came since the position cannot be given; `next` is the present. */
  lost?: LostReason;
}
