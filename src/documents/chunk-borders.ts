/**
 * Finds where a text may be cut: offsets inside it, ascending, neither 0 nor its length. `tokensMax` is the size that
 * the parts are wanted for.
 */
export type FindBorders = (text: string, tokensMax: number) => number[];

// The locale is fixed, or the same text would be cut differently on another host.
const sentences = new Intl.Segmenter("en", { granularity: "sentence" });
const words = new Intl.Segmenter("en", { granularity: "word" });
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Ends of sentences (UAX #29), each with the whitespace behind it, and ends of lines that are not wrapped prose. O(text):
 * measured linear up to 1 MB of Chinese, Thai, Arabic, emoji or one letter repeated.
 */
export function sentenceBorders(text: string): number[] {
  return settleBorders(text, segmentStarts(sentences, unwrapProse(text)));
}

/** Ends of words (UAX #29, with ICU's dictionaries where words have no spaces), whitespace behind them included. O(text). */
export function wordBorders(text: string): number[] {
  return settleBorders(text, segmentStarts(words, text));
}

/**
 * Ways to cut, the coarsest first. Before single words and single graphemes come runs of them, about an eighth of a
 * chunk each: a token counter costs more per call than per character, and a 2 MB word has two million graphemes.
 */
export const borderLevels: readonly FindBorders[] = [
  itemBorders,
  sentenceBorders,
  lineBorders,
  (text, tokensMax) => joinRuns(wordBorders(text), text.length, tokensMax),
  wordBorders,
  (text, tokensMax) => joinRuns(segmentStarts(graphemes, text), text.length, tokensMax),
  (text) => segmentStarts(graphemes, text),
];

/**
 * Moves each border past the whitespace behind it, so that a part never begins with whitespace, and drops those that
 * would then stand inside a grapheme (a space can carry a combining mark) or at an end of the text. O(text).
 */
export function settleBorders(text: string, borders: readonly number[]): number[] {
  const settled: number[] = [];
  const visible = /\S/g;
  let segments: Intl.Segments | undefined;
  let last = visible.test(text) ? visible.lastIndex - 1 : text.length;
  for (const border of borders) {
    // A border inside whitespace that was passed already is the same border; without this, newlines alone are O(n²).
    if (border <= last) continue;
    visible.lastIndex = border;
    if (!visible.test(text)) break;
    last = visible.lastIndex - 1;
    if (!isPlainBorder(text, last)) {
      segments ??= graphemes.segment(text);
      if (segments.containing(last)?.index !== last) continue;
    }
    settled.push(last);
  }
  return settled;
}

/** Below U+0300 only CR LF forms a grapheme of two, and no settled border stands before an LF. */
function isPlainBorder(text: string, border: number): boolean {
  return text.charCodeAt(border - 1) < 0x300 && text.charCodeAt(border) < 0x300;
}

/** Ends of list items, table rows and lines of code: of every line that the next one does not carry on. */
function itemBorders(text: string): number[] {
  return lineBorders(unwrapProse(text));
}

/**
 * Reads a newline between a word and a letter as a space, of the same length: UAX #29 ends a sentence at every newline,
 * which would cut wrapped prose at each line. One before a list mark, a digit, an indent or a blank line stays.
 */
function unwrapProse(text: string): string {
  return text.replace(/(?<=\S)\r?\n(?=[\p{L}"'(])/gu, (newline) => " ".repeat(newline.length));
}

function lineBorders(text: string): number[] {
  const borders: number[] = [];
  for (const newline of text.matchAll(/\r\n|[\n\r\u2028\u2029]/g)) {
    borders.push(newline.index + newline[0].length);
  }
  return settleBorders(text, borders);
}

function segmentStarts(segmenter: Intl.Segmenter, text: string): number[] {
  const starts: number[] = [];
  for (const { index } of segmenter.segment(text)) if (index > 0) starts.push(index);
  return starts;
}

/** Keeps only the borders needed for runs of at most half a code unit per wanted token, an eighth of it in English. */
function joinRuns(borders: readonly number[], end: number, tokensMax: number): number[] {
  const kept: number[] = [];
  const runLengthMax = tokensMax / 2;
  let start = 0;
  for (const [index, border] of borders.entries()) {
    if ((borders[index + 1] ?? end) - start <= runLengthMax) continue;
    kept.push(border);
    start = border;
  }
  return kept;
}
