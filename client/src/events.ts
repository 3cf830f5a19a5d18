import type { LostReason, MatchKind } from "./values.ts";
import type { SlipstreamError } from "./error.ts";

/** A publication of a room; `data` is what `parse` made of it, or as it came. */
export interface Message<T> {
  kind: "message";
  room: string;
  offset: number;
  /** ISO 8601, UTC. */
  ts: string;
  data: T;
  from: string | undefined;
}

/** A document that a standing query is about. */
export interface Match {
  kind: "match";
  /** The document's id. */
  doc: string;
  version: number;
  event: MatchKind;
  /** As the query's mode counts it; higher is better. */
  score: number;
  offset: number;
  /** The fields that were asked for. */
  data: Readonly<Record<string, unknown>>;
  /** Told again after a reconnect, rather than as it happened. */
  replay: boolean;
}

/** What came after `from` and up to `to` is lost for good: read the state anew, then go on from here. */
export interface Gap {
  kind: "gap";
  /** The server's reason, or `missing`: a hole that a resume did not fill. */
  reason: LostReason | "missing";
  from: number;
  to: number;
}

/** The connection was lost and nothing of the stream was: what was missed follows. */
export interface Recovered {
  kind: "recovered";
  /** How many missed publications follow; for a query, how many changes are looked at. */
  replay: number;
}

/** The replay is over: what comes from here on comes as it happens. */
export interface CaughtUp {
  kind: "caughtUp";
  offset: number;
}

/** Who is in a room, at most once a second. */
export interface Presence {
  kind: "presence";
  count: number;
  /** Who is there, a hundred at most: at the beginning and after a pause. */
  members: readonly string[] | undefined;
  joined: readonly string[];
  left: readonly string[];
}

export type StreamEvent = Gap | Recovered | CaughtUp;
export type RoomEvent<T> = Message<T> | Presence | StreamEvent;
export type QueryEvent = Match | StreamEvent;

/** A function for each kind of event; all are optional. */
export type Handlers<E extends { kind: string }> = {
  readonly [K in E["kind"]]?: (event: Extract<E, { kind: K }>) => void;
} & {
  /** The subscription is over; undefined where the client itself ended it. */
  readonly ended?: (error: SlipstreamError | undefined) => void;
};
