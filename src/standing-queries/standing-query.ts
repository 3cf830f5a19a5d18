import type { MatchEvent, StandingMode } from "./standing-queries.ts";

/** A standing query, checked, with every default filled in. It can be sent between threads. */
export interface StandingQuery {
  /** Of all the rest: equal queries have the same. */
  hash: string;
  collectionKey: number;
  text: string;
  mode: StandingMode;
  minScore: number;
  /** The share of the cosine in a hybrid score. */
  weight: number;
  /** JSON that is a valid filter; undefined for none. */
  filter: unknown;
  on: readonly MatchEvent[];
  fields: readonly string[];
}

/** Which of a collection's two lines of changes a query follows: at the commit, or when the vectors are there. */
export type LaneKind = "words" | "vectors";

/** Names a collection's queries of one kind, which are matched together. */
export function laneKey({
  collectionKey,
  kind,
}: {
  collectionKey: number;
  kind: LaneKind;
}): string {
  return `${kind}:${collectionKey}`;
}

/** Keyword queries need no vectors and so wait for none. */
export function laneOf({ mode }: Pick<StandingQuery, "mode">): LaneKind {
  return mode === "keyword" ? "words" : "vectors";
}

/** True where the query tells of documents that match no longer. */
export function tellsLeave({ on }: Pick<StandingQuery, "on">): boolean {
  return on.includes("leave");
}
