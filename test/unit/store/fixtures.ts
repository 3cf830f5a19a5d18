import type { DocumentWrite, NewCollection, StoreRead } from "../../../src/store/store.ts";

/** A collection whose vectors are the caller's, two numbers long. */
export const COLLECTION: NewCollection = {
  name: "rules",
  model: "none",
  modelSha256: null,
  dimensions: 2,
  metric: "cosine",
  chunking: { strategy: "none", tokens_max: 256, tokens_overlap: 0 },
  fusion: { method: "weighted", weight: 0.5 },
  keyword: { language: "english", stop_words: true, title_weight: 1, text_weight: 1 },
  quantization: "f16",
};

/** A document of one chunk that waits for its vector. */
export function written(
  id: string,
  text: string,
  metadata: Record<string, unknown> = {},
): DocumentWrite {
  const chunks = [{ start: 0, end: text.length, heading: null }];
  return { id, title: null, text, metadata, chunks };
}

/** A document with the caller's vector. */
export function withVector(id: string, vector: readonly number[]): DocumentWrite {
  return { ...written(id, `text of ${id}`), vector: new Float32Array(vector) };
}

/** Every vector of a collection, in the order of their chunks. */
export async function vectorsIn(store: StoreRead, collectionKey: number) {
  const page = { what: "vector", after: 0, limit: 100_000 } as const;
  return store.chunkVectors(await store.indexedKeys(collectionKey, page));
}

/** `count` documents in slices that fit one transaction each. */
export function* slicesOf(documents: readonly DocumentWrite[]): Generator<DocumentWrite[]> {
  for (let start = 0; start < documents.length; start += 100)
    yield documents.slice(start, start + 100);
}
