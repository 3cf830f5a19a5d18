/** One side's answer: best first, each unit (a document, or a chunk) once. */
export interface Ranked {
  unit: number;
  chunkKey: number;
  score: number;
}

/** A unit with what each side says of it; null where a side did not find it. */
export interface Fused {
  unit: number;
  chunkKey: number;
  score: number;
  semantic: number | null;
  keyword: number | null;
  semanticShare: number;
  keywordShare: number;
  semanticRank: number | null;
  keywordRank: number | null;
}

/** The constant of reciprocal rank fusion, as in its source. */
const RRF_K = 60;

/**
 * Only the first candidates of each side earn a share, however many were fetched: a score then does not depend on how
 * far a caller pages. What lies behind follows in the order of the semantic side, then of the keyword side.
 */
export const FUSED_CANDIDATES = 100;

export interface Sides {
  semantic: readonly Ranked[];
  keyword: readonly Ranked[];
}

/**
 * Merges two rankings, best first.
 * - `weighted`: each side's scores are stretched to 0…1 over its own candidates, then summed, `weight` to the semantic side;
 *   the keyword side's share is lessened by `keywordConfidence`, 0…1, since stretching makes even a poor best match a 1.
 * - `rrf`: reciprocal rank fusion, sum of share / (60 + rank) (Cormack, Clarke and Büttcher, SIGIR 2009), which looks at
 *   ranks and never at scores; the shares are `weight` and its rest, doubled so that 0.5 is the plain method.
 */
export function fuse(
  sides: Sides,
  options: { method: "weighted" | "rrf"; weight: number; keywordConfidence?: number },
): Fused[] {
  const { method, weight, keywordConfidence = 1 } = options;
  const weights = {
    semantic: weight,
    keyword: (1 - weight) * (method === "weighted" ? keywordConfidence : 1),
  };
  const shares = method === "weighted" ? minMax : reciprocalRank;
  const fused = new Map<number, Fused>();
  for (const side of ["semantic", "keyword"] as const) {
    const ranked = sides[side];
    const share = shares(ranked.slice(0, FUSED_CANDIDATES), weights[side]);
    for (const [index, one] of ranked.entries()) {
      const entry = fused.get(one.unit) ?? empty(one);
      fused.set(one.unit, entry);
      add(entry, {
        side,
        one,
        rank: index + 1,
        share: index < FUSED_CANDIDATES ? share(one, index) : 0,
      });
    }
  }
  return [...fused.values()].toSorted(compare);
}

function compare(a: Fused, b: Fused): number {
  return (
    b.score - a.score ||
    byRank(a.semanticRank, b.semanticRank) ||
    byRank(a.keywordRank, b.keywordRank)
  );
}

/** A unit that a side did not find comes after those that it did. */
function byRank(a: number | null, b: number | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return a - b;
}

type Share = (one: Ranked, index: number) => number;

function minMax(ranked: readonly Ranked[], weight: number): Share {
  const best = ranked[0]?.score ?? 0;
  const worst = ranked.at(-1)?.score ?? 0;
  const spread = best - worst;
  // One candidate, or all alike: nothing tells them apart, and each is this side's best.
  return ({ score }) => weight * (spread > 0 ? (score - worst) / spread : 1);
}

function reciprocalRank(_ranked: readonly Ranked[], weight: number): Share {
  return (_one, index) => (2 * weight) / (RRF_K + index + 1);
}

function add(
  entry: Fused,
  {
    side,
    one,
    rank,
    share,
  }: { side: "semantic" | "keyword"; one: Ranked; rank: number; share: number },
): void {
  entry.score += share;
  if (side === "semantic") {
    entry.semantic = one.score;
    entry.semanticRank = rank;
    entry.semanticShare = share;
    return;
  }
  entry.keyword = one.score;
  entry.keywordRank = rank;
  entry.keywordShare = share;
  // The chunk shown is the one of the side that did more for the unit.
  if (share > entry.semanticShare) entry.chunkKey = one.chunkKey;
}

function empty({ unit, chunkKey }: Ranked): Fused {
  const nothing = { semantic: null, keyword: null, semanticRank: null, keywordRank: null };
  return { unit, chunkKey, score: 0, semanticShare: 0, keywordShare: 0, ...nothing };
}
