// What frames, bodies and events have in common.

/** Where a reader of a room or of a standing query stands. */
export interface Position {
  /** Random id of the stream's life: offsets of another life mean nothing. */
  epoch: string;
  offset: number;
}

export type Mode = "semantic" | "keyword" | "hybrid";
export type MatchKind = "insert" | "update" | "leave";
/** Why a position could not be gone on from. */
export type LostReason = "epoch_changed" | "too_old" | "ahead";

/** A query that stays open: what it is about, and from which score on a document counts. */
export interface StandingQuery {
  text: string;
  collection: string;
  mode: Mode;
  /** Required unless `mode` is "keyword". */
  min_score?: number;
  /** The same filter as in a search. */
  filter?: Readonly<Record<string, unknown>>;
  /** Which events are told; the server's default is insert and update. */
  on?: readonly MatchKind[];
  /** What of the document comes with a match. */
  fields?: readonly string[];
}

/** One publication as history gives it. */
export interface Publication {
  offset: number;
  /** ISO 8601, UTC. */
  ts: string;
  data: unknown;
  from?: string;
}
