import { limits } from "../limits.ts";
import type { ChunkHit, StoreRead } from "../store/store.ts";

/** What searches read of the store again and again. */
export interface ReadMemory {
  /** Begins a search: the store's version, which has everything up to the change of that number. */
  begin(): { version: string; sequence: number };
  /** Chunks as the store has them, as of the last begin or later. */
  hits(chunkKeys: readonly number[]): Promise<Map<number, ChunkHit>>;
}

/**
 * Remembers what was read until the next commit that changes a document. The same documents are found again and again, and reading ten of them
 * takes a tenth of a search's time. What is given out is shared, and not to be changed.
 */
export function createReadMemory(store: StoreRead): ReadMemory {
  /** Another one after each forgetting: what was being read meanwhile goes into the old one. */
  let known = new Map<number, ChunkHit>();
  let version = "";
  let sequence = 0;
  let characters = 0;
  const forget = (): void => {
    known = new Map();
    characters = 0;
  };
  /** Adds chunks to what is known and to what was found. */
  const read = async (
    chunkKeys: readonly number[],
    found: Map<number, ChunkHit>,
  ): Promise<void> => {
    const mine = known;
    for (const [key, hit] of await store.hits(chunkKeys)) {
      found.set(key, hit);
      if (mine !== known) continue;
      known.set(key, hit);
      // Of metadata only what it takes at least is counted.
      characters += (hit.text?.length ?? 0) + (hit.title?.length ?? 0) + hitOverhead;
    }
  };
  return {
    begin() {
      const now = store.version();
      if (now === version) return { version, sequence };
      version = now;
      const last = store.sequence;
      // Rooms and jobs commit too, and change nothing that a search shows.
      if (last !== sequence) forget();
      sequence = last;
      // A commit between both reads is in the number already: an index has to reach it too.
      return { version: store.version(), sequence };
    },
    async hits(chunkKeys) {
      if (characters > limits.hitsRememberedCharactersMax) forget();
      // Nothing is looked up after the reading: others may have had everything forgotten by then.
      const found = new Map<number, ChunkHit>();
      const missing: number[] = [];
      for (const key of chunkKeys) {
        const hit = known.get(key);
        if (hit === undefined) missing.push(key);
        else found.set(key, hit);
      }
      if (missing.length > 0) await read(missing, found);
      return found;
    },
  };
}

/** What a chunk takes beside its text, in characters. */
const hitOverhead = 500;
