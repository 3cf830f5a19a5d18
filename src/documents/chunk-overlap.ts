import { sentenceBorders, wordBorders } from "./chunk-borders.ts";
import type { Fit, Piece } from "./chunk-pieces.ts";

/**
 * Where a chunk starts once it repeats the end of the chunk before it: at most `tokensOverlap` tokens, in whole
 * sentences if one fits, else in whole words. Always past the start of the chunk before, and the chunk from there to
 * its end still fits; with nothing that can be repeated it is the chunk's own start. O(both chunks).
 */
export function overlapStart(
  fit: Fit,
  chunks: { before: Piece; chunk: Piece },
  tokensOverlap: number,
): number {
  const { before, chunk } = chunks;
  const text = fit.text.slice(before.start, before.end);
  for (const findBorders of [sentenceBorders, wordBorders]) {
    const starts = tailStarts(text, findBorders(text), { ...fit, tokensMax: tokensOverlap });
    for (const start of starts) {
      const tokens = fit.countTokens(fit.text.slice(before.start + start, chunk.end));
      if (tokens <= fit.tokensMax) return before.start + start;
    }
  }
  return chunk.start;
}

/** Borders from which the rest of the text fits, the longest rest first. */
function tailStarts(text: string, borders: readonly number[], fit: Fit): number[] {
  const starts: number[] = [];
  let end = text.length;
  let tokens = 0;
  for (const border of borders.toReversed()) {
    tokens += fit.countTokens(text.slice(border, end));
    if (tokens > fit.tokensMax) break;
    starts.push(border);
    end = border;
  }
  return starts.toReversed();
}
