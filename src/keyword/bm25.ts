/** How fast more of the same word stops to count, and how much a text's length counts; those of FTS5's bm25(). */
const K1 = 1.2;
const B = 0.75;

/** What scores are reckoned against, over all parts of an index. Rows that died after sealing are still counted. */
export interface Statistics {
  chunks: number;
  /** Words of all chunks. */
  tokens: number;
}

/** Inverse document frequency as FTS5's bm25() has it: a word that most chunks have does not count against them. */
export function inverseFrequency(chunks: number, count: number): number {
  const idf = Math.log((chunks - count + 0.5) / (count + 0.5));
  return idf <= 0 ? 1e-6 : idf;
}

/**
 * BM25 of one word (S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework", 2009) is
 * `gain · f / (f + constant + slope · length)`, where f is the frequency weighted by field and length is in words.
 */
export interface Saturation {
  constant: number;
  slope: number;
}

/** The part of the formula that all words of a search share. */
export function saturation({ chunks, tokens }: Statistics): Saturation {
  const averageLength = chunks === 0 || tokens === 0 ? 1 : tokens / chunks;
  return { constant: K1 * (1 - B), slope: (K1 * B) / averageLength };
}

/** The largest score that a word of this inverse frequency can give. */
export function gainOf(idf: number): number {
  return idf * (K1 + 1);
}

/**
 * Adding this to a number below 4096 and taking it away again rounds to a multiple of 2^-40. Sums of such numbers are
 * exact in any order, so a chunk has the same score however a search comes to it, and equal chunks are equal.
 */
export const ROUNDING = 6144;
/** What is taken away is one step less, so that no word that is there counts nothing. */
export const ROUNDING_BACK = ROUNDING - 2 ** -40;
