import { limits } from "../limits.ts";
import type { Filter } from "../store/filter.ts";
import type { StoreRead } from "../store/store.ts";

interface Known {
  /** The store's last change when the set was read. */
  sequence: number;
  chunkKeys: ReadonlySet<number>;
}

/**
 * The chunks that match a filter, as a set. SQLite reads every document of a collection for most filters, and the same
 * few come again and again (a tenant, a language, a kind), so sets are remembered until the next change of any document.
 */
export function createFilterSets(store: StoreRead) {
  const known = new Map<string, Known>();
  let keys = 0;
  const forget = (name: string): void => {
    keys -= known.get(name)?.chunkKeys.size ?? 0;
    known.delete(name);
  };
  const remember = (name: string, entry: Known): void => {
    forget(name);
    if (entry.chunkKeys.size > limits.filterSetKeysMax) return;
    known.set(name, entry);
    keys += entry.chunkKeys.size;
    // The oldest go first: a set that is used is put at the end again.
    for (const [oldest] of known) {
      if (keys <= limits.filterSetKeysMax && known.size <= limits.filterSetsMax) return;
      forget(oldest);
    }
  };
  return {
    async matching(collectionKey: number, filter: Filter): Promise<ReadonlySet<number>> {
      const name = `${collectionKey} ${JSON.stringify(filter)}`;
      const { sequence } = store;
      const found = known.get(name);
      if (found?.sequence === sequence) {
        remember(name, found);
        return found.chunkKeys;
      }
      const chunkKeys = await store.chunksMatching(collectionKey, filter);
      remember(name, { sequence, chunkKeys });
      return chunkKeys;
    },
  };
}

export type FilterSets = ReturnType<typeof createFilterSets>;
