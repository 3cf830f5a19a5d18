import type { Engine } from "../engine/engine.ts";
import { assert } from "../problems.ts";
import type { CollectionRow, StoreRead } from "../store/store.ts";
import type { Ranked } from "./fuse.ts";
import type { KeywordSide, Scope } from "./keyword-side.ts";

export type GroupBy = "document" | "chunk";

export interface SideOptions {
  collection: CollectionRow;
  groupBy: GroupBy;
  /** Units wanted; fewer come back only where there are no more. */
  count: number;
}

/** Chunks asked for at first for each document wanted: most documents are one or a few chunks. */
const CHUNKS_PER_UNIT = 2;

/** Units by meaning, best first; a document has the score of its best chunk. `allowed` holds chunk keys. */
export async function rankByMeaning(
  { engine, store }: { engine: Engine; store: StoreRead },
  { collection, groupBy, count }: SideOptions,
  { vector, allowed }: { vector: Float32Array; allowed: ReadonlySet<number> | undefined },
): Promise<Ranked[]> {
  const most = Math.min(engine.vectorsOf(collection), allowed?.size ?? Infinity);
  let chunks = groupBy === "chunk" ? count : count * CHUNKS_PER_UNIT;
  for (;;) {
    const k = Math.max(1, Math.min(chunks, most));
    const found =
      most === 0
        ? []
        : engine.nearest(
            collection,
            allowed === undefined ? { vector, k } : { vector, k, allowed },
          );
    const documents = await store.documentsOfChunks(found.map((one) => one.key));
    const ranked = bestOfEach(
      found.flatMap(({ key, score }) => {
        const documentKey = documents.get(key);
        return documentKey === undefined ? [] : [{ chunkKey: key, documentKey, score }];
      }),
      groupBy,
    );
    if (ranked.length >= count || k >= most) return ranked.slice(0, count);
    chunks = k * 4;
  }
}

/** Units by words, best first. */
export async function rankByWords(
  side: KeywordSide,
  { groupBy, count }: SideOptions,
  scope: Scope,
): Promise<Ranked[]> {
  if (side.empty) return [];
  let limit = groupBy === "chunk" ? count : count * CHUNKS_PER_UNIT;
  for (;;) {
    const found = await side.find(scope, limit);
    const ranked = bestOfEach(found, groupBy);
    if (ranked.length >= count || found.length < limit) return ranked.slice(0, count);
    limit *= 4;
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
