import type { Parts } from "../segments/segment-kind.ts";
import type { RowSet } from "../segments/row-set.ts";
import { BestMatches, type KeywordMatch } from "./best-matches.ts";
import { gainOf, inverseFrequency, saturation, type Statistics } from "./bm25.ts";
import { createCursor, eachRow } from "./cursor.ts";
import { countIn, expandWord, type Expansion, type KeywordWord } from "./expand.ts";
import type { KeywordDelta } from "./keyword-delta.ts";
import type { KeywordSegment } from "./keyword-segment.ts";
import { phraseRows } from "./phrases.ts";
import type { PostingSource } from "./posting-list.ts";
import { rankRows, rankWindows, type Clause, type Ranking } from "./rank.ts";

/** What to look for, in index forms. A chunk matches if it has every phrase and, where there are words, one of them. */
export interface KeywordQuery {
  words: readonly KeywordWord[];
  /** Forms in the order in which they must follow each other. */
  phrases: readonly (readonly string[])[];
}

/** A ranked search. With `allowed` only those keys count, and min(k, matches among them) come back. */
export interface KeywordSearch {
  query: KeywordQuery;
  k: number;
  allowed?: ReadonlySet<number>;
}

/** Words -> ranked chunks. */
export interface KeywordIndexRead {
  /** Live chunks. */
  readonly size: number;
  has(key: number): boolean;
  /** The k best by BM25, best first, equal ones by key. */
  search(search: KeywordSearch): KeywordMatch[];
  /**
   * Chunks that have each form, and chunks in all, as the scores are reckoned with: rows of sealed segments that died
   * since are still counted, and forms of a delta's removed rows are not.
   */
  frequencies(forms: readonly string[]): { chunks: number; counts: number[] };
  /** The keys of all chunks that match, each once, in no order. O(matches of all words). */
  matching(query: KeywordQuery, allowed?: ReadonlySet<number>): number[];
  /** Dictionary words that a word stands for, itself included if it is one. */
  expand(word: KeywordWord): string[];
}

export type KeywordParts = Parts<KeywordSegment, KeywordDelta>;

/** Searches over whatever parts there are at the time. Nothing is kept between two searches. */
export function createKeywordIndex(parts: () => KeywordParts): KeywordIndexRead {
  return {
    get size() {
      return sizeOf(parts());
    },
    has: (key) => livesIn(parts()).some((part) => part.has(key)),
    search: (search) => searchParts(parts(), search),
    frequencies(forms) {
      const sources = livesIn(parts()).map(({ source }) => source);
      return {
        chunks: statisticsOf(sources).chunks,
        counts: forms.map((form) => countIn(sources, form)),
      };
    },
    matching: (query, allowed) => matchParts(parts(), query, allowed),
    expand(word) {
      const sources = livesIn(parts()).map(({ source }) => source);
      return expandWord(sources, word).forms.map(({ form }) => form);
    },
  };
}

/** From so few allowed keys per row on, they are looked up one by one. */
const LISTED_SHARE = 1 / 32;

/** The k best chunks of all parts together. */
export function searchParts(parts: KeywordParts, search: KeywordSearch): KeywordMatch[] {
  const { query, allowed, k } = search;
  if (!(k > 0) || isEmpty(query)) return [];
  const lives = livesIn(parts);
  const sources = lives.map(({ source }) => source);
  const expanded = query.words.map((word) => {
    return { ...expandWord(sources, word), weight: word.weight ?? 1 };
  });
  const statistics = statisticsOf(sources);
  const best = new BestMatches(k);
  for (const live of lives) {
    const clauses = clausesIn(live.source, expanded, statistics);
    if (clauses.length === 0 && query.words.length > 0) continue;
    const ranking = rankingOf(live, { best, statistics, allowed });
    const rows = listedRows(live.source, query, allowed);
    if (rows === undefined) rankWindows(ranking, clauses);
    else rankRows(ranking, clauses, rows);
  }
  return best.sorted();
}

/** All keys that match. */
function matchParts(
  parts: KeywordParts,
  query: KeywordQuery,
  allowed?: ReadonlySet<number>,
): number[] {
  if (isEmpty(query)) return [];
  const lives = livesIn(parts);
  const sources = lives.map(({ source }) => source);
  const forms = query.words.flatMap((word) => expandWord(sources, word).forms);
  const keys: number[] = [];
  for (const { source, isLive } of lives) {
    const found = new Uint8Array(source.rows).fill(query.words.length === 0 ? 1 : 0);
    for (const { form } of forms) {
      const list = source.find(form);
      if (list !== undefined) eachRow(list, (row) => void (found[row] = 1));
    }
    const take = (row: number): void => {
      if (found[row] !== 1 || !isLive(row)) return;
      const key = source.keyAt(row);
      if (allowed === undefined || allowed.has(key)) keys.push(key);
    };
    if (query.phrases.length > 0) phraseRows(source, query.phrases).forEach(take);
    else for (let row = 0; row < source.rows; row++) take(row);
  }
  return keys;
}

function isEmpty({ words, phrases }: KeywordQuery): boolean {
  return words.length === 0 && phrases.length === 0;
}

/** A part and which of its rows are alive. */
interface LivePart {
  source: PostingSource;
  readonly isLive: (row: number) => boolean;
  readonly has: (key: number) => boolean;
}

/** The parts, the greatest first, since it lifts the threshold for the others. */
function livesIn({ sealed, frozen, active }: KeywordParts): LivePart[] {
  const lives = sealed.map(({ segment, dead }) => livingSegment(segment, dead));
  for (const { delta, dead } of frozen) lives.push(livingDelta(delta, dead));
  lives.push(livingDelta(active, new Set()));
  return lives.toSorted((a, b) => b.source.chunks - a.source.chunks);
}

function livingSegment(source: KeywordSegment, dead: RowSet): LivePart {
  return {
    source,
    isLive: (row) => !dead.has(row),
    has(key) {
      const row = source.rowOf(key);
      return row >= 0 && !dead.has(row);
    },
  };
}

function livingDelta(source: KeywordDelta, dead: ReadonlySet<number>): LivePart {
  return {
    source,
    isLive(row) {
      const key = source.keyAt(row);
      return source.rowOf(key) === row && !dead.has(key);
    },
    has: (key) => source.has(key) && !dead.has(key),
  };
}

function sizeOf({ sealed, frozen, active }: KeywordParts): number {
  let size = active.size;
  for (const { segment, dead } of sealed) size += segment.rows - dead.size;
  for (const { delta, dead } of frozen) {
    size += delta.size;
    for (const key of dead) if (delta.has(key)) size--;
  }
  return size;
}

function statisticsOf(sources: readonly PostingSource[]): Statistics {
  const statistics = { chunks: 0, tokens: 0 };
  for (const { chunks, tokens } of sources) {
    statistics.chunks += chunks;
    statistics.tokens += tokens;
  }
  return statistics;
}

function clausesIn(
  source: PostingSource,
  expanded: readonly (Expansion & { weight: number })[],
  { chunks }: Statistics,
): Clause[] {
  const clauses: Clause[] = [];
  for (const { forms, count, weight } of expanded) {
    const gain = weight * gainOf(inverseFrequency(chunks, Math.min(count, chunks)));
    const cursors = forms.flatMap((one) => {
      const list = source.find(one.form);
      return list === undefined ? [] : [createCursor(list, gain * one.weight)];
    });
    if (cursors.length > 0) clauses.push({ cursors, max: 0, postings: 0 });
  }
  return clauses;
}

function rankingOf(
  { source, isLive }: LivePart,
  {
    best,
    statistics,
    allowed,
  }: { best: BestMatches; statistics: Statistics; allowed: ReadonlySet<number> | undefined },
): Ranking {
  return {
    rows: source.rows,
    lengths: source.lengths,
    saturation: saturation(statistics),
    best,
    keyAt: (row) => source.keyAt(row),
    accepts:
      allowed === undefined ? isLive : (row) => isLive(row) && allowed.has(source.keyAt(row)),
  };
}

/** The rows that a search can be about, ascending, where they are few enough to be listed. */
function listedRows(
  source: PostingSource,
  { phrases }: KeywordQuery,
  allowed: ReadonlySet<number> | undefined,
): Iterable<number> | undefined {
  if (phrases.length > 0) return phraseRows(source, phrases);
  if (allowed === undefined || allowed.size > source.rows * LISTED_SHARE) return undefined;
  return Float64Array.from(allowed, (key) => source.rowOf(key))
    .toSorted()
    .filter((row) => row >= 0);
}
