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

/** Comparisons of which each found a difference while something was written, and the pause after the first of them. */
const triesMax = 8;
const pauseMsFirst = 10;

/**
 * Compares every key of a collection's indexes with the store's. Nothing is changed and nothing waits for it; where there
 * is a difference and something was written meanwhile, it compares again.
 */
export async function checkIndex(
  store: StoreRead,
  index: CollectionIndex,
  collection: CollectionRow,
): Promise<IndexCheck> {
  await index.ready;
  for (let tries = 1; ; tries++) {
    const before = await store.indexState(collection.key);
    await index.reach();
    const check = await compare(store, index, collection);
    const after = await store.indexState(collection.key);
    if (check.problems.length === 0 || before.sequence === after.sequence) return check;
    if (tries === triesMax) return check;
    await Bun.sleep(pauseMsFirst * 2 ** (tries - 1));
  }
}

async function compare(
  store: StoreRead,
  index: CollectionIndex,
  collection: CollectionRow,
): Promise<IndexCheck> {
  const problems: string[] = [];
  const compareOne = async (what: "text" | "vector", has: (key: number) => boolean) => {
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
  const vectors = await compareOne("vector", (key) => index.hasVector(key));
  const words =
    index.words === undefined ? 0 : await compareOne("text", (key) => index.hasWords(key));
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
