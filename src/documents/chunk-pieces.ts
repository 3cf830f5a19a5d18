import type { FindBorders } from "./chunk-borders.ts";

/** A part of a text that stays whole. `start` and `end` are UTF-16 offsets, half-open. */
export interface Piece {
  start: number;
  end: number;
  tokens: number;
}

/** What parts of a text must fit into. */
export interface Fit {
  text: string;
  tokensMax: number;
  countTokens: (text: string) => number;
}

/**
 * Longest text per wanted token that is counted at all. Real text has two to six characters a token, so a longer one
 * cannot fit, and counting a 2 MB text to learn that would cost as much as counting its sentences.
 */
const charactersPerTokenMax = 32;

/** Tokens from `start` to `end`; Infinity, without counting, where the length alone says that they cannot fit. */
export function countSpan(fit: Fit, span: { start: number; end: number }): number {
  if (span.end - span.start > fit.tokensMax * charactersPerTokenMax) return Infinity;
  return fit.countTokens(fit.text.slice(span.start, span.end));
}

/**
 * Cuts a span that is too long into pieces that fit, each at the coarsest level that makes it fit: a piece is cut
 * further only if it must be. The pieces tile the span. Only a piece that no level can cut (one grapheme) may be too
 * long; its `tokens` is then past `tokensMax`, not exact. O(span) calls and characters per level.
 */
export function splitPieces(
  fit: Fit,
  span: { start: number; end: number },
  levels: readonly FindBorders[],
): Piece[] {
  const pieces: Piece[] = [];
  cut(span, 0);
  return pieces;

  function place(start: number, end: number, depth: number): void {
    const tokens = countSpan(fit, { start, end });
    if (tokens <= fit.tokensMax) pieces.push({ start, end, tokens });
    else cut({ start, end }, depth);
  }

  function cut({ start, end }: { start: number; end: number }, depth: number): void {
    const text = fit.text.slice(start, end);
    for (const [index, findBorders] of levels.entries()) {
      if (index < depth) continue;
      const borders = findBorders(text, fit.tokensMax);
      if (borders.length === 0) continue;
      let from = start;
      for (const border of borders) {
        place(from, start + border, index + 1);
        from = start + border;
      }
      place(from, end, index + 1);
      return;
    }
    pieces.push({ start, end, tokens: fit.tokensMax + 1 });
  }
}

/**
 * Joins neighbouring pieces into parts of at most `tokensMax`. What is left is shared out evenly, so 260 tokens in
 * chunks of 256 become two of about 130, not one full and one of 4 that says nothing. A piece without tokens stays with
 * the one before it. The parts tile what the pieces tile. Cost: each part is counted once.
 */
export function joinPieces(fit: Fit, pieces: readonly Piece[]): Piece[] {
  const joined: Piece[] = [];
  let tokensLeft = pieces.reduce((sum, piece) => sum + piece.tokens, 0);
  let from = 0;
  while (from < pieces.length) {
    const tokensTarget = tokensLeft / Math.max(1, Math.ceil(tokensLeft / fit.tokensMax));
    let tokens = pieces[from]?.tokens ?? 0;
    let to = from + 1;
    for (; to < pieces.length; to++) {
      const more = pieces[to]?.tokens ?? 0;
      if (tokens + more > fit.tokensMax || (tokens >= tokensTarget && more > 0)) break;
      tokens += more;
    }
    joinVerified(fit, pieces.slice(from, to), joined);
    tokensLeft -= tokens;
    from = to;
  }
  return joined;
}

/**
 * Sums of token counts are exact for WordPiece where pieces meet at whitespace or punctuation, but not inside a word and
 * not for every tokenizer, so the sum only proposes: a part that turns out too long is halved.
 */
function joinVerified(fit: Fit, pieces: readonly Piece[], joined: Piece[]): void {
  const first = pieces[0];
  const last = pieces.at(-1);
  if (first === undefined || last === undefined) return;
  if (pieces.length === 1) {
    joined.push(first);
    return;
  }
  const tokens = fit.countTokens(fit.text.slice(first.start, last.end));
  if (tokens <= fit.tokensMax) {
    joined.push({ start: first.start, end: last.end, tokens });
    return;
  }
  const middle = pieces.length >> 1;
  joinVerified(fit, pieces.slice(0, middle), joined);
  joinVerified(fit, pieces.slice(middle), joined);
}
