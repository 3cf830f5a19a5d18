import type { Engine, Neighbour } from "../engine/engine.ts";
import { assert } from "../problems.ts";
import type { CollectionRow } from "../store/store.ts";
import { withDocuments, type DocumentKeys } from "./document-keys.ts";
import type { Ranked } from "./fuse.ts";
import type { KeywordSide, Scope } from "./keyword-side.ts";

export type GroupBy = "document" | "chunk";

export interface SideOptions {
  collection: CollectionRow;
  groupBy: GroupBy;
  /** Units wanted; fewer come back only where there are no more. */
  count: number;
  /** Chunks asked for at first for each unit wanted. */
  chunksPerUnit: number;
}

/** Candidates of a fast query that are ranked again by the full one: with so many, both find the same (measured). */
const RESCORED_CANDIDATES = 200;

export interface MeaningSearch {
  vector: Float32Array;
  /** The vector that ranks what `vector` finds; `vector` itself if missing. */
  rescore: Float32Array | undefined;
  /** Chunk keys. */
  allowed: ReadonlySet<number> | undefined;
}

/** Units by meaning, best first; a document has the score of its best chunk. */
export async function rankByMeaning(
  { engine, documentKeys }: { engine: Engine; documentKeys: DocumentKeys },
  { collection, groupBy, count, chunksPerUnit }: SideOptions,
  { vector, rescore, allowed }: MeaningSearch,
): Promise<Ranked[]> {
  const nearest = (k: number): Neighbour[] => {
    const scope = allowed === undefined ? {} : { allowed };
    if (rescore === undefined) return engine.nearest(collection, { vector, k, ...scope });
    const rough = { vector, k: Math.max(k, RESCORED_CANDIDATES), ...scope };
    const candidates = new Set(engine.nearest(collection, rough).map(({ key }) => key));
    return engine.nearest(collection, { vector: rescore, k, allowed: candidates });
  };
  const most = Math.min(engine.vectorsOf(collection), allowed?.size ?? Infinity);
  let chunks = Math.ceil(count * chunksPerUnit);
  for (;;) {
    const k = Math.max(1, Math.min(chunks, most));
    const found = most === 0 ? [] : nearest(k);
    const ranked = bestOfEach(await withDocuments(found, documentKeys), groupBy);
    if (ranked.length >= count || k >= most) return ranked.slice(0, count);
    chunks = k * 2;
  }
}

/** Units by words, best first. */
export async function rankByWords(
  side: KeywordSide,
  { groupBy, count, chunksPerUnit }: SideOptions,
  scope: Scope,
): Promise<Ranked[]> {
  if (side.empty) return [];
  let limit = Math.ceil(count * chunksPerUnit);
  for (;;) {
    const found = await side.find(scope, limit);
    const ranked = bestOfEach(found, groupBy);
    if (ranked.length >= count || found.length < limit) return ranked.slice(0, count);
    limit *= 2;
  }
}

/** Each unit once, at its best chunk; the input is best first. */
function bestOfEach(
  found: readonly { chunkKey: number; documentKey: number; score: number }[],
  groupBy: GroupBy,
): Ranked[] {
  const best = new Map<number, Ranked>();
  for (const { chunkKey, documentKey, score } of found) {
    const unit = groupBy === "chunk" ? chunkKey : documentKey;
    if (!best.has(unit)) best.set(unit, { unit, chunkKey, score });
  }
  assert(best.size <= found.length, "a unit comes from a chunk");
  return [...best.values()];
}
