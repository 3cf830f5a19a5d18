/** Rows of a block; a search decodes one at a time. */
export const BLOCK_ROWS = 128;

/** One decoded block, reused. */
export interface PostingBlock {
  count: number;
  /** Ascending. */
  readonly rows: Int32Array;
  /** Frequency of the word in each row, weighted by field. */
  readonly frequencies: Float64Array;
}

/** The rows that have one dictionary word, ascending, in blocks. */
export interface PostingList {
  readonly blocks: number;
  /** The last row of a block. */
  lastRow(block: number): number;
  /** At least the largest weighted frequency in a block. */
  maxFrequency(block: number): number;
  /** At most the smallest quotient of length and weighted frequency in a block. */
  minRatio(block: number): number;
  decode(block: number, into: PostingBlock): void;
  /** Places of the word in the row at `index` of a block, ascending. The text's places begin after a gap. */
  positions(block: number, index: number): number[];
}

/** A dictionary word and how many rows have it. */
export interface WordCount {
  form: string;
  count: number;
}

/** One part of an index: a delta or a sealed segment. */
export interface PostingSource {
  /** Row numbers are below this. */
  readonly rows: number;
  /** Words of each row. */
  readonly lengths: Uint32Array;
  /** Rows and words that scores are reckoned against. */
  readonly chunks: number;
  readonly tokens: number;
  keyAt(row: number): number;
  /** The row of a key, -1 where there is none. */
  rowOf(key: number): number;
  /** Rows that have a word, 0 where it is unknown. */
  count(form: string): number;
  /** The rows of a word, undefined where it is unknown. */
  find(form: string): PostingList | undefined;
  /** The most frequent words that begin with the letters, `max` at most. */
  beginning(letters: string, max: number): WordCount[];
  /** Words with the first letter of `letters` that are at most so many edits from it. */
  near(letters: string, distanceMax: number): NearWord[];
}

/** A word and the edits that make another one of it. */
export interface NearWord extends WordCount {
  distance: number;
}

/** An empty block. */
export function createBlock(): PostingBlock {
  return {
    count: 0,
    rows: new Int32Array(BLOCK_ROWS),
    frequencies: new Float64Array(BLOCK_ROWS),
  };
}
