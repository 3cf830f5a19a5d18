import type { VerifyReport } from "../contract/maintenance.ts";
import type { CollectionIndex } from "../engine/collection-index.ts";
import type { Engine } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import type { CollectionRow, StoreRead } from "../store/store.ts";

type CollectionReport = VerifyReport["collections"][number];

/**
 * Compares the database with itself and every index with the database, key by key. Nothing is changed and nothing
 * waits for it; what is written meanwhile may be told as missing or too much by a second run no more.
 */
export async function verify(store: StoreRead, engine: Engine): Promise<VerifyReport> {
  const start = performance.now();
  const problems = await store.check();
  const collections: CollectionReport[] = [];
  for (const collection of await store.collections()) {
    const index = engine.findIndex(collection);
    // It is being made, or was dropped meanwhile.
    if (index !== undefined) collections.push(await verifyCollection(store, index, collection));
  }
  const ok = problems.length === 0 && collections.every((one) => one.problems.length === 0);
  const duration_ms = Math.round(performance.now() - start);
  return { ok, database: { problems }, collections, duration_ms };
}

async function verifyCollection(
  store: StoreRead,
  index: CollectionIndex,
  collection: CollectionRow,
): Promise<CollectionReport> {
  await index.ready;
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
  const { chunks } = await store.counts(collection.key);
  return { name: collection.name, chunks, vectors, words, problems };
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
