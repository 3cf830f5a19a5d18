import type { StoreRead } from "../store/store.ts";

/** Slots, a power of two: 2 MiB for a process, and the chunks that searches find again and again are far fewer. */
const slots = 131_072;

/** The documents of chunks, in the order of the chunks; undefined where one is gone. */
export type DocumentKeys = (chunkKeys: readonly number[]) => Promise<(number | undefined)[]>;

/**
 * Reads the documents of chunks and remembers them: a chunk never moves to another document, and a search asks for
 * hundreds of which it shows ten. Direct-mapped: a chunk takes the slot of its key's low bits from whatever had it. A
 * chunk that is gone may still be answered; the index does not find it, and what is shown is read again.
 */
export function createDocumentKeys(store: StoreRead): DocumentKeys {
  const chunks = new Float64Array(slots);
  const documents = new Float64Array(slots);
  return async (chunkKeys) => {
    const missing = chunkKeys.filter((key) => chunks[key % slots] !== key);
    if (missing.length > 0) {
      for (const [chunkKey, documentKey] of await store.documentsOfChunks(missing)) {
        chunks[chunkKey % slots] = chunkKey;
        documents[chunkKey % slots] = documentKey;
      }
    }
    // Two chunks of one answer may share a slot.
    const lost = chunkKeys.filter((key) => chunks[key % slots] !== key);
    const rest = lost.length > 0 ? await store.documentsOfChunks(lost) : undefined;
    return chunkKeys.map((key) =>
      chunks[key % slots] === key ? documents[key % slots] : rest?.get(key),
    );
  };
}

/** Chunks that an index found, with their documents; those that are gone are left out. */
export async function withDocuments(
  found: readonly { key: number; score: number }[],
  documentKeys: DocumentKeys,
): Promise<{ chunkKey: number; documentKey: number; score: number }[]> {
  const documents = await documentKeys(found.map(({ key }) => key));
  return found.flatMap(({ key, score }, at) => {
    const documentKey = documents[at];
    return documentKey === undefined ? [] : [{ chunkKey: key, documentKey, score }];
  });
}
