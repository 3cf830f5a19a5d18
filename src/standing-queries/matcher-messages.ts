import type { KeywordSettings } from "../contract/collections.ts";
import type { Failure } from "../failure.ts";
import type { StandingUpdate } from "../store/standing-store.ts";
import type { LaneKind, StandingQuery } from "./standing-query.ts";

/** A query to be matched from now on. */
export interface AddQuery {
  query: StandingQuery;
  vector: Float32Array | undefined;
  collection: { key: number; dimensions: number; keyword: KeywordSettings };
  /** Changes after this number are matched; from now on by default. All queries of a lane go on from the same. */
  cursor?: number;
}

export interface AddedQuery {
  /** Of its lane: what comes after it will be told. */
  cursor: number;
  /** Documents that left the query's matches up to this change are not known. */
  knownFrom: number;
}

/** How many documents changed, counted to one past the limit of a resume. */
export interface CountChanges {
  hash: string;
  after: number;
  upTo: number;
}

export interface ReadMatches {
  hash: string;
  /** Where the whole replay began: documents inserted after it are new to its reader. */
  since: number;
  after: number;
  upTo: number;
  framesMax: number;
  bytesMax: number;
}

export interface ReadPage {
  frames: string[];
  upTo: number;
}

/** What the matcher is asked for, by name. */
export interface MatcherCalls {
  add: (query: AddQuery) => Promise<AddedQuery>;
  countChanges: (range: CountChanges) => Promise<number>;
  read: (range: ReadMatches) => Promise<ReadPage>;
}

export type MatcherMethod = keyof MatcherCalls;

/** `Value` is `unknown` where it is sent, and where it is received `never`: what every call takes. */
export type ToMatcher<Value> =
  /** `held`: lanes in which nothing is matched before their `go`. */
  | { kind: "open"; folder: string; held: readonly string[] }
  | { kind: "go"; lane: string }
  | { kind: "call"; id: number; method: MatcherMethod; value: Value }
  | { kind: "remove"; hash: string }
  /** Something was committed in these collections. */
  | { kind: "heard"; collectionKeys: readonly number[] }
  /** So much of what was told is on its way. */
  | { kind: "taken"; characters: number }
  /** What was to be kept is committed. */
  | { kind: "kept"; ticket: number }
  | { kind: "close" };

/** A new match. */
export interface ToldMatch {
  hash: string;
  offset: number;
  frame: string;
}

export type FromMatcher<Value> =
  | { kind: "opened" }
  | { kind: "answer"; id: number; ok: true; value: Value }
  | { kind: "answer"; id: number; ok: false; failure: Failure }
  /** Matches in order; then the lane's cursor, which all of its streams have reached. */
  | {
      kind: "told";
      collectionKey: number;
      lane: LaneKind;
      matches: ToldMatch[];
      cursor: number;
      characters: number;
    }
  | { kind: "keep"; ticket: number; update: StandingUpdate }
  /** It can go on no more; the thread is to be ended. */
  | { kind: "failed"; failure: Failure }
  | { kind: "closed" };
