import { limits } from "../limits.ts";
import type { CollectionRow, StoreRead } from "../store/store.ts";
import type { CollectionIndex } from "./collection-index.ts";

/** What a comparison of a collection's indexes with the store has found. */
export interface IndexCheck {
  vectors: number;
  words: number;
  /** In sentences. */
  problems: string[];
}

/**
 * Compares every key of a collection's indexes with the store's. Nothing is changed and nothing waits for it; what is
 * written meanwhile may be told as missing or too much by a second run no more.
 */
export async function checkIndex(
  store: StoreRead,
  index: CollectionIndex,
  collection: CollectionRow,
): Promise<IndexCheck> {
  await index.ready;
  await index.reach();
  const problems: string[] = [];
  const compare = async (what: "text" | "vector", has: (key: number) => boolean) => {
    const { expected, missing } = await missingKeys(store, { collection, what, has });
    const found = what === "vector" ? index.report().vectors : index.report().words;
    const name = what === "vector" ? "vector" : "keyword";
    if (missing > 0) problems.push(`${missing} of ${expected} chunks are not in the ${name} index`);
    const surplus = found - (expected - missing);
    if (surplus !== 0) {
      problems.push(`the ${name} index has ${found} chunks where the database has ${expected}`);
    }
    return found;
  };
  const vectors = await compare("vector", (key) => index.hasVector(key));
  const words = index.words === undefined ? 0 : await compare("text", (key) => index.hasWords(key));
  return { vectors, words, problems };
}

async function missingKeys(
  store: StoreRead,
  {
    collection,
    what,
    has,
  }: { collection: CollectionRow; what: "text" | "vector"; has: (key: number) => boolean },
): Promise<{ expected: number; missing: number }> {
  let [expected, missing] = [0, 0];
  for (let after = 0; ;) {
    const page = { what, after, limit: limits.indexReadMax };
    const keys = await store.indexedKeys(collection.key, page);
    const last = keys.at(-1);
    if (last === undefined) return { expected, missing };
    expected += keys.length;
    missing += keys.filter((key) => !has(key)).length;
    after = last;
    await new Promise(setImmediate);
  }
}
