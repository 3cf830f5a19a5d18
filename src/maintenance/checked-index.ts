import type { IndexCheck } from "../engine/check-index.ts";
import type { Engines } from "../engine/engines.ts";
import type { CollectionRow } from "../store/store.ts";

/** What a comparison of a collection's index with the database says; nothing is found where there is no index. */
export async function checkedIndex(
  engines: Pick<Engines, "check">,
  collection: CollectionRow,
): Promise<IndexCheck> {
  return (await engines.check(collection)) ?? { vectors: 0, words: 0, problems: [] };
}
