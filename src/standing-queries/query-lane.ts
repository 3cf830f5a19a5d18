import type { Analyser } from "../keyword/analyser.ts";
import { assert } from "../problems.ts";
import type { DocumentContent } from "../store/standing-store.ts";
import { readWords } from "./document-words.ts";
import {
  combine,
  passes,
  shareOfWords,
  type Match,
  type OpenedDocument,
  type PreparedQuery,
} from "./prepare-query.ts";
import { createQueryTerms } from "./query-terms.ts";
import { createQueryVectors, type NearQuery } from "./query-vectors.ts";

/** Queries of one collection that are matched at the same moment: all with vectors, or all without. */
export interface QueryLane {
  readonly size: number;
  queries(): Iterable<PreparedQuery>;
  get(hash: string): PreparedQuery | undefined;
  /** One that is there already stays as it is. */
  add(query: PreparedQuery): void;
  remove(hash: string): void;
  /** The queries that a document matches, in no order. */
  match(document: OpenedDocument): Match[];
}

/** The greatest difference between two ways to write down a weighted sum of numbers from -1 to 1, and much more. */
const CUSHION = 1e-9;

/** What rounding may make of the cosine of a vector with itself. */
const COSINE_MAX = 1.001;

/** A place in the tables: the row of its vector, or the next free number. */
interface Placed {
  query: PreparedQuery;
  place: number;
}

/** @param dimensions of the vectors; undefined where the queries have none */
export function createQueryLane(dimensions: number | undefined): QueryLane {
  const vectors = dimensions === undefined ? undefined : createQueryVectors(dimensions);
  const terms = createQueryTerms();
  const byHash = new Map<string, Placed>();
  const byPlace: (PreparedQuery | undefined)[] = [];
  const free: number[] = [];

  const placeOf = (query: PreparedQuery): number => {
    if (vectors === undefined) return free.pop() ?? byPlace.length;
    assert(query.vector !== undefined, "a query of this lane has a vector");
    return vectors.add(query.vector, leastCosine(query, 0));
  };
  /** Shares of the words, of the queries that can match with so much. */
  const sharesOf = (document: OpenedDocument): Map<number, number> => {
    const shares = new Map<number, number>();
    if (terms.empty) return shares;
    const words = document.words();
    terms.count(words.forms, (place, count) => {
      const query = byPlace[place];
      if (query === undefined || !isEnough(query, count / query.forms.length)) return;
      // Few queries have phrases, and few of those get as far as that.
      const share =
        query.phrases.length === 0 ? count / query.forms.length : shareOfWords(query, words);
      if (share > 0) shares.set(place, share);
    });
    return shares;
  };
  return {
    get size() {
      return byHash.size;
    },
    *queries() {
      for (const { query } of byHash.values()) yield query;
    },
    get: (hash) => byHash.get(hash)?.query,
    add(query) {
      if (byHash.has(query.hash)) return;
      const place = placeOf(query);
      byHash.set(query.hash, { query, place });
      byPlace[place] = query;
      terms.add(place, query.forms);
    },
    remove(hash) {
      const placed = byHash.get(hash);
      if (placed === undefined) return;
      const { query, place } = placed;
      byHash.delete(hash);
      byPlace[place] = undefined;
      terms.remove(place, query.forms);
      if (vectors === undefined) free.push(place);
      else vectors.remove(place);
    },
    match(document) {
      if (byHash.size === 0) return [];
      const shares = sharesOf(document);
      const found =
        vectors === undefined
          ? byWords(byPlace, shares)
          : byVectors(byPlace, { near: nearOf(vectors, byPlace, { document, shares }), shares });
      return found.filter(({ query }) => passes(query, document));
    },
  };
}

/** Opens a document for many queries. */
export function openDocument(content: DocumentContent, analyser: Analyser): OpenedDocument {
  let words: ReturnType<typeof readWords> | undefined;
  let metadata: unknown;
  return {
    content,
    words: () => (words ??= readWords(content, analyser)),
    metadata: () => (metadata ??= JSON.parse(content.metadata)),
  };
}

/** The cosine from which on a query may match a document with this share of its words. */
function leastCosine({ mode, minScore, weight }: PreparedQuery, share: number): number {
  if (mode === "semantic") return minScore;
  const missing = minScore - (1 - weight) * share - CUSHION;
  // No cosine makes up for words where it does not count.
  if (weight === 0) return missing <= 0 ? -Infinity : Infinity;
  return missing / weight;
}

/** Whether any document with this share of a query's words can match it. */
function isEnough(query: PreparedQuery, share: number): boolean {
  if (query.mode === "keyword") return share >= query.minScore;
  return leastCosine(query, share) <= COSINE_MAX;
}

function nearOf(
  vectors: ReturnType<typeof createQueryVectors>,
  queries: readonly (PreparedQuery | undefined)[],
  { document, shares }: { document: OpenedDocument; shares: ReadonlyMap<number, number> },
): (NearQuery & { cosine: number | undefined })[] {
  const { chunks } = document.content;
  const places = chunks.flatMap(({ vector }, place) => (vector === undefined ? [] : [place]));
  const embedded = chunks.flatMap(({ vector }) => (vector === undefined ? [] : [vector]));
  if (embedded.length === 0) return withoutVectors(queries);
  const instead = new Map<number, number>();
  for (const [row, share] of shares) {
    const query = queries[row];
    if (query !== undefined) instead.set(row, leastCosine(query, share));
  }
  return vectors
    .near(embedded, instead)
    .map((one) => ({ ...one, chunk: places[one.chunk] ?? 0, cosine: one.score }));
}

/** Nothing can be known of the meaning, but words may be enough. */
function withoutVectors(
  queries: readonly (PreparedQuery | undefined)[],
): (NearQuery & { cosine: undefined })[] {
  return queries.flatMap((query, row) =>
    query === undefined || query.mode === "semantic"
      ? []
      : [{ row, score: 0, chunk: 0, cosine: undefined }],
  );
}

function byWords(
  queries: readonly (PreparedQuery | undefined)[],
  shares: ReadonlyMap<number, number>,
): Match[] {
  const found: Match[] = [];
  for (const [place, share] of shares) {
    const query = queries[place];
    if (query !== undefined && share >= query.minScore) {
      found.push({ query, score: share, chunk: undefined });
    }
  }
  return found;
}

function byVectors(
  queries: readonly (PreparedQuery | undefined)[],
  {
    near,
    shares,
  }: {
    near: readonly (NearQuery & { cosine: number | undefined })[];
    shares: ReadonlyMap<number, number>;
  },
): Match[] {
  return near.flatMap(({ row, chunk, cosine }) => {
    const query = queries[row];
    if (query === undefined) return [];
    const score = combine(query, { cosine, share: shares.get(row) ?? 0 });
    if (score === undefined || score < query.minScore) return [];
    return [{ query, score, chunk: cosine === undefined ? undefined : chunk }];
  });
}
