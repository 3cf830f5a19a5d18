import type { BestMatches } from "./best-matches.ts";
import { ROUNDING, ROUNDING_BACK, type Saturation } from "./bm25.ts";
import { BLOCK_ROWS } from "./posting-list.ts";
import { END, seekBlock, seekRow, type Cursor } from "./cursor.ts";

/** One word of a query in one part: of the dictionary words that it stands for, the one that scores best counts. */
export interface Clause {
  readonly cursors: readonly Cursor[];
  /** The largest score in the window at hand. */
  max: number;
  /** About how many postings it has in the window. */
  postings: number;
}

/** What a ranking of one part needs beside the words. */
export interface Ranking {
  readonly rows: number;
  readonly lengths: Uint32Array;
  readonly saturation: Saturation;
  readonly best: BestMatches;
  keyAt(row: number): number;
  /** Whether a row is alive and asked for. */
  accepts(row: number): boolean;
}

/** Rows that are looked at together; fewer make more windows to measure, more do not fit the inner caches. */
const WINDOW_ROWS = 8192;
/** Scores are looked through in groups of so many rows, those without a match left out. */
const GROUP_SHIFT = 6;
const GROUP_ROWS = 1 << GROUP_SHIFT;
/** Looking a row up takes as long as adding so many postings up. */
const LOOK_UP_POSTINGS = 16;
/** Postings in a window below which adding them up is quicker than counting what could be looked up. */
const LOOK_UP_MIN = 1024;
/** Every score is a multiple of this, and 0 is none. */
const LEAST_SCORE = 2 ** -40;
/** Bounds are sums in another order than scores, so they get a little room. */
const BOUND_ROOM = 1 + 1e-9;

/** Searches never interleave, so that one set of scores serves them all. */
const scores = new Float64Array(WINDOW_ROWS);
const dirty = new Uint8Array(WINDOW_ROWS >> GROUP_SHIFT);
const ofWord = new Float64Array(WINDOW_ROWS);

/**
 * Offers every row that has one of the words and may be among the best. MaxScore (H. Turtle and J. Flood, 1995) by
 * windows of rows, with the block maxima of S. Ding and T. Suel, "Faster top-k document retrieval using block-max
 * indexes", 2011: a window in which even all words together are too little is skipped, and in the others the words
 * that cannot lift a row over the threshold by themselves are looked up only for rows that others have brought up.
 */
export function rankWindows(ranking: Ranking, clauses: readonly Clause[]): void {
  scores.fill(0);
  dirty.fill(0);
  ofWord.fill(0);
  const ordered = [...clauses];
  for (let start = 0; start < ranking.rows;) {
    const end = Math.min(start + WINDOW_ROWS, ranking.rows);
    const { sum, next } = measureWindow(ranking, ordered, { start, end });
    if (next === END) return;
    if (sum > 0 && sum >= ranking.best.threshold) {
      ordered.sort((a, b) => a.max - b.max);
      rankWindow(ranking, ordered, { start, end });
    }
    start = next >= end ? next - (next % WINDOW_ROWS) : end;
  }
}

interface Window {
  start: number;
  end: number;
}

/** Sets each clause's maximum; gives their sum, and the next row to look at, at least the window's start. */
function measureWindow(ranking: Ranking, clauses: readonly Clause[], window: Window) {
  let sum = 0;
  let next = END;
  for (const clause of clauses) {
    clause.max = 0;
    clause.postings = 0;
    for (const cursor of clause.cursors) {
      if (!seekBlock(cursor, window.start)) continue;
      // A block that goes on past the window may begin past it too; only its rows tell.
      if (cursor.list.lastRow(cursor.block) >= window.end) {
        const row = seekRow(cursor, window.start);
        if (row < next) next = row;
        if (row >= window.end) continue;
      } else next = window.start;
      measureCursor(ranking, clause, { cursor, end: window.end });
    }
    sum += clause.max;
  }
  return { sum: sum * BOUND_ROOM, next };
}

function measureCursor(
  { saturation }: Ranking,
  clause: Clause,
  { cursor, end }: { cursor: Cursor; end: number },
): void {
  const { list, block, gain } = cursor;
  let least = Infinity;
  for (let at = block; at < list.blocks; at++) {
    const rest = saturation.constant / list.maxFrequency(at) + saturation.slope * list.minRatio(at);
    if (rest < least) least = rest;
    clause.postings += BLOCK_ROWS;
    if (list.lastRow(at) >= end - 1) break;
  }
  clause.max = Math.max(clause.max, gain / (1 + least) + 2 ** -39);
}

function rankWindow(ranking: Ranking, clauses: readonly Clause[], window: Window): void {
  const { threshold } = ranking.best;
  let essential = 0;
  let below = 0;
  for (; essential < clauses.length; essential++) {
    const sum = below + (clauses[essential]?.max ?? 0);
    if (sum * BOUND_ROOM >= threshold) break;
    below = sum;
  }
  for (let index = essential; index < clauses.length; index++) {
    const clause = clauses[index];
    if (clause !== undefined && clause.max > 0) accumulateClause(ranking, clause, window);
  }
  const others: Clause[] = [];
  for (let index = essential - 1; index >= 0; index--) {
    const clause = clauses[index];
    if (clause === undefined || clause.max === 0) continue;
    const many = clause.postings >= LOOK_UP_MIN;
    if (many && countAbove(threshold - below * BOUND_ROOM) * LOOK_UP_POSTINGS < clause.postings) {
      others.push(clause);
    } else {
      accumulateClause(ranking, clause, window);
      below -= clause.max;
    }
  }
  const rest = { others, below: Math.max(0, below) };
  for (let group = 0; group < dirty.length; group++) {
    if (dirty[group] === 0) continue;
    offerGroup(ranking, rest, { from: group << GROUP_SHIFT, start: window.start });
  }
  scores.fill(0);
  dirty.fill(0);
}

/** Rows of the window with a score that may still be lifted over the threshold. */
function countAbove(threshold: number): number {
  const least = Math.max(threshold, LEAST_SCORE);
  let count = 0;
  for (let group = 0; group < dirty.length; group++) {
    if (dirty[group] === 0) continue;
    const to = (group + 1) << GROUP_SHIFT;
    for (let at = group << GROUP_SHIFT; at < to; at++) {
      if ((scores[at] ?? 0) >= least) count++;
    }
  }
  return count;
}

function accumulateClause(ranking: Ranking, { cursors }: Clause, window: Window): void {
  const [only] = cursors;
  if (cursors.length === 1 && only !== undefined) {
    accumulate(ranking, only, window);
    return;
  }
  for (const cursor of cursors) accumulateBest(ranking, cursor, window);
  ofWord.fill(0);
}

function accumulate(ranking: Ranking, cursor: Cursor, { start, end }: Window): void {
  const { constant, slope } = ranking.saturation;
  const { lengths } = ranking;
  const { gain } = cursor;
  for (let first = seekRow(cursor, start); first < end;) {
    const { rows, frequencies, count } = cursor.buffer;
    let index = cursor.index;
    for (; index < count; index++) {
      const row = rows[index] ?? END;
      if (row >= end) break;
      const frequency = frequencies[index] ?? 0;
      const score = (gain * frequency) / (frequency + constant + slope * (lengths[row] ?? 0));
      const at = row - start;
      scores[at] = (scores[at] ?? 0) + (score + ROUNDING - ROUNDING_BACK);
      dirty[at >> GROUP_SHIFT] = 1;
    }
    cursor.index = index;
    if (index < count || (rows[count - 1] ?? END) >= end - 1) return;
    first = seekRow(cursor, (rows[count - 1] ?? END) + 1);
  }
}

/** As `accumulate`, for one of several dictionary words of which the best counts. */
function accumulateBest(ranking: Ranking, cursor: Cursor, { start, end }: Window): void {
  for (let row = seekRow(cursor, start); row < end; row = seekRow(cursor, row + 1)) {
    const score = scoreHere(ranking, cursor, row);
    const at = row - start;
    const known = ofWord[at] ?? 0;
    if (score <= known) continue;
    ofWord[at] = score;
    scores[at] = (scores[at] ?? 0) + (score - known);
    dirty[at >> GROUP_SHIFT] = 1;
  }
}

interface Others {
  /** Clauses not yet counted, the greatest first, and the sum of their maxima. */
  others: readonly Clause[];
  below: number;
}

function offerGroup(
  ranking: Ranking,
  { others, below }: Others,
  { from, start }: { from: number; start: number },
): void {
  const { best } = ranking;
  const to = from + GROUP_ROWS;
  let { threshold } = best;
  let least = Math.max(threshold - below * BOUND_ROOM, LEAST_SCORE);
  for (let at = from; at < to; at++) {
    const sure = scores[at] ?? 0;
    if (sure < least) continue;
    const row = start + at;
    let score = sure;
    let open = below;
    for (const clause of others) {
      if ((score + open) * BOUND_ROOM < threshold) break;
      score += scoreAt(ranking, clause, row);
      open -= clause.max;
    }
    if (score < threshold || !ranking.accepts(row)) continue;
    best.offer(ranking.keyAt(row), score);
    threshold = best.threshold;
    least = Math.max(threshold - below * BOUND_ROOM, LEAST_SCORE);
  }
}

/** Offers those of the rows, ascending, that have one of the words; all of them where there are no words. */
export function rankRows(
  ranking: Ranking,
  clauses: readonly Clause[],
  rows: Iterable<number>,
): void {
  for (const row of rows) {
    let score = 0;
    for (const clause of clauses) score += scoreAt(ranking, clause, row);
    if ((score > 0 || clauses.length === 0) && score >= ranking.best.threshold) {
      if (ranking.accepts(row)) ranking.best.offer(ranking.keyAt(row), score);
    }
  }
}

function scoreAt(ranking: Ranking, { cursors }: Clause, row: number): number {
  let best = 0;
  for (const cursor of cursors) {
    if (seekRow(cursor, row) !== row) continue;
    best = Math.max(best, scoreHere(ranking, cursor, row));
  }
  return best;
}

function scoreHere({ saturation, lengths }: Ranking, cursor: Cursor, row: number): number {
  const frequency = cursor.buffer.frequencies[cursor.index] ?? 0;
  const { constant, slope } = saturation;
  const score = (cursor.gain * frequency) / (frequency + constant + slope * (lengths[row] ?? 0));
  return score + ROUNDING - ROUNDING_BACK;
}
