import type { CollectionRow, StoreRead } from "../store/store.ts";

/** How long one look at a collection's counts is believed. */
const lookMs = 1000;

/** How many chunks to ask an index for, to have one document: at least 1, in steps of a quarter. */
export type ChunksPerDocument = (collection: CollectionRow) => Promise<number>;

/** More than the mean: documents of many chunks are found more often. */
const margin = 1.1;

/**
 * The mean number of chunks of a collection's documents and a little more, in steps so that it seldom changes. Where nearly
 * every document is one chunk, asking an index for twice as many as are wanted would double the time of the search.
 */
export function createChunksPerDocument(store: StoreRead): ChunksPerDocument {
  const known = new Map<number, { lookedMs: number; ratio: number }>();
  return async ({ key }) => {
    const now = performance.now();
    const last = known.get(key);
    if (last !== undefined && now - last.lookedMs < lookMs) return last.ratio;
    const { chunks, documents } = await store.counts(key);
    const mean = Math.max(1, chunks / Math.max(1, documents));
    const ratio = mean === 1 ? 1 : Math.ceil(mean * margin * 4) / 4;
    // Those of dropped collections go with the others: a process meets a thousand at most at once.
    if (known.size > 2000) known.clear();
    known.set(key, { lookedMs: now, ratio });
    return ratio;
  };
}
