import { assert } from "../problems.ts";
import { borderLevels, settleBorders } from "./chunk-borders.ts";
import { overlapStart } from "./chunk-overlap.ts";
import { countSpan, joinPieces, splitPieces } from "./chunk-pieces.ts";
import type { Fit, Piece } from "./chunk-pieces.ts";
import { splitSections } from "./chunk-sections.ts";
import type { Section } from "./chunk-sections.ts";

/** One chunk's place in its text: UTF-16 offsets, half-open. */
export interface ChunkSpan {
  start: number;
  end: number;
  /** The innermost Markdown heading over the chunk, without its marks; absent where there is none. */
  heading?: string;
}

/**
 * Cuts a text into chunks of at most `tokensMax` tokens, in order, for one vector each.
 *
 * Each section under its own Markdown heading is one chunk if it fits, however short: a chunk is then about one thing,
 * and its vector is not the mean of two. Sections are never joined, except that a heading with nothing under it goes
 * with the next. A section that does not fit is cut at its paragraphs, they at list items and rows, then sentences,
 * lines, words and graphemes, each only if it must be, and neighbours are joined again up to `tokensMax`.
 *
 * The chunks tile the text: each starts where the one before ends, the whitespace between them belongs to the first of
 * the two, and none is empty unless the text is. With `tokensOverlap` a chunk starts earlier, inside the chunk before
 * it, but never across a heading. No chunk is past `tokensMax` save a single grapheme that is. No grapheme is cut.
 * The same text gives the same chunks.
 *
 * Cost: near O(text). Each character is counted about twice, three times with overlap; 2 MB of English took 1 s with a
 * WordPiece counter, all but 0.02 s of it in `countTokens`.
 *
 * @param options.tokensMax tokens of one chunk, a whole number from 1, special tokens not counted
 * @param options.countTokens the model's own count, without special tokens
 * @param options.tokensOverlap tokens repeated at most, from 0 to below `tokensMax`; 0 by default
 */
export function chunkText(
  text: string,
  options: { tokensMax: number; countTokens: (text: string) => number; tokensOverlap?: number },
): ChunkSpan[] {
  const { tokensMax, countTokens, tokensOverlap = 0 } = options;
  assert(Number.isInteger(tokensMax) && tokensMax > 0, "tokensMax is a whole number from 1");
  assert(tokensOverlap >= 0 && tokensOverlap < tokensMax, "tokensOverlap is below tokensMax");
  const fit: Fit = { text, tokensMax, countTokens };
  const spans: ChunkSpan[] = [];
  for (const section of splitSections(text)) {
    for (const { start, end } of chunkSection(fit, section, tokensOverlap)) {
      const { heading } = section;
      spans.push(heading === undefined ? { start, end } : { start, end, heading });
    }
  }
  return spans;
}

function chunkSection(
  fit: Fit,
  section: Section,
  tokensOverlap: number,
): { start: number; end: number }[] {
  if (countSpan(fit, section) <= fit.tokensMax) return [section];
  // Room for the repeated tokens is kept free in every chunk, or the overlap would push it past its size.
  const room: Fit = { ...fit, tokensMax: fit.tokensMax - tokensOverlap };
  const blockLevel = (text: string) => settleBorders(text, section.blockBorders);
  const chunks = joinPieces(room, splitPieces(room, section, [blockLevel, ...borderLevels]));
  if (tokensOverlap === 0) return chunks;
  return chunks.map((chunk, index) => {
    const before: Piece | undefined = chunks[index - 1];
    if (before === undefined) return chunk;
    return { start: overlapStart(fit, { before, chunk }, tokensOverlap), end: chunk.end };
  });
}
