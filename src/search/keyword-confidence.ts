import { inverseFrequency } from "../keyword/bm25.ts";
import type { Ranked } from "./fuse.ts";
import type { KeywordSide } from "./keyword-side.ts";

/** From this share of the query's information on, the best match is as good as any. */
const SHARE_ENOUGH = 0.5;

/**
 * How much the keyword side can be trusted, 0…1: the best match's BM25 score against the sum of the query's inverse
 * document frequencies, which is the score of an average text that has each word once. A text that shares one common
 * word with a long question says little, however much it beats the other candidates.
 */
export async function keywordConfidence(
  side: KeywordSide,
  ranked: readonly Ranked[],
): Promise<number> {
  const best = ranked[0]?.score ?? 0;
  if (best <= 0) return 1;
  const { chunks, words } = await side.frequencies();
  const information = words.reduce(
    (sum, { count, weight }) => sum + weight * inverseFrequency(chunks, count),
    0,
  );
  return Math.min(1, best / (SHARE_ENOUGH * information));
}
