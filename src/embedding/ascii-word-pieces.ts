import { assert } from "../problems.ts";

/**
 * The ids of a text without special tokens, or `undefined` for a text that is not this tokenizer's business: one that is
 * longer than 1,024 characters or holds anything but printable ASCII without `[`, tabs and line ends.
 */
export type AsciiWordPieces = (text: string) => number[] | undefined;

/** Long texts go to the library, which reads them in slices and stops at the end of the window. */
const CHARS_MAX = 1024;
/** Left out is `[`, with which the names of special tokens begin: the library finds them before it looks for words. */
const PLAIN = /^[\t\n\r -Z\\-~]*$/;
const UNKNOWN = "[UNK]";
const CONTINUED = "##";
const WORD_CHARS_MAX = 100;

/**
 * WordPiece for plain ASCII with a vocabulary of lower-case pieces and their ids, of which it keeps a view. Ten times as fast
 * as the library, because nothing has to be known of Unicode. Takes about 10 ms to make.
 * Method: greedy longest match first, as in BERT, https://arxiv.org/abs/1810.04805.
 */
export function createAsciiWordPieces(pieces: ReadonlyMap<string, number>): AsciiWordPieces {
  const vocabulary = readVocabulary(pieces);
  return (text) => {
    if (text.length > CHARS_MAX || !PLAIN.test(text)) return undefined;
    const lower = text.toLowerCase();
    const ids: number[] = [];
    for (let start = 0; start < lower.length;) {
      const end = wordEnd(lower, start);
      if (!isSpace(lower.charCodeAt(start))) addWord(ids, lower.slice(start, end), vocabulary);
      start = end;
    }
    return ids;
  };
}

/** The end of the run of letters and digits that begins at `start`; any other character stands alone. */
function wordEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isWordChar(text.charCodeAt(end))) end++;
  return Math.max(end, start + 1);
}

function addWord(ids: number[], word: string, vocabulary: Vocabulary): void {
  const whole = vocabulary.first.get(word);
  if (whole !== undefined) {
    ids.push(whole);
    return;
  }
  const before = ids.length;
  const { continued, pieceCharsMax } = vocabulary;
  let { first: pieces } = vocabulary;
  for (let start = 0; start < word.length;) {
    const rest = word.slice(start, start + pieceCharsMax);
    const length = word.length > WORD_CHARS_MAX ? 0 : pieceLength(rest, pieces);
    const id = pieces.get(rest.slice(0, length));
    if (id === undefined) {
      // A word of which one piece is unknown is unknown as a whole.
      ids.length = before;
      ids.push(vocabulary.unknown);
      return;
    }
    ids.push(id);
    pieces = continued;
    start += length;
  }
}

/** The length of the longest known piece that the letters begin with; 0 if there is none. */
function pieceLength(letters: string, pieces: ReadonlyMap<string, number>): number {
  let length = letters.length;
  while (length > 0 && !pieces.has(letters.slice(0, length))) length--;
  return length;
}

function isWordChar(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
}

/** Of what PLAIN lets through: space, tab, line feed, carriage return. */
function isSpace(code: number): boolean {
  return code <= 32;
}

/** Pieces that begin a word, among which no other can be mistaken for a word, and those that continue one, without their `##`. */
interface Vocabulary {
  first: ReadonlyMap<string, number>;
  continued: ReadonlyMap<string, number>;
  unknown: number;
  /** No piece is longer: without this bound a word of 100 letters in no usual order asks for 5,000 pieces. */
  pieceCharsMax: number;
}

function readVocabulary(first: ReadonlyMap<string, number>): Vocabulary {
  const unknown = first.get(UNKNOWN);
  assert(unknown !== undefined, "the vocabulary has [UNK]");
  const continued = new Map<string, number>();
  let pieceCharsMax = 0;
  for (const [piece, id] of first) {
    pieceCharsMax = Math.max(pieceCharsMax, piece.length);
    if (piece.startsWith(CONTINUED)) continued.set(piece.slice(CONTINUED.length), id);
  }
  return { first, continued, unknown, pieceCharsMax };
}
