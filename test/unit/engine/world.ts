import type { CollectionIndex } from "../../../src/engine/collection-index.ts";
import { Engine, type EngineOptions } from "../../../src/engine/engine.ts";
import { ownerOf, trimmer, type IndexOwner } from "../../../src/engine/engines.ts";
import { createAnalyser } from "../../../src/keyword/analyser.ts";
import { parseKeywordQuery } from "../../../src/keyword/parse-query.ts";
import { LocalStore, type LocalStoreOptions } from "../../../src/store/local/local-store.ts";
import type { CollectionRow, DocumentWrite, NewCollection } from "../../../src/store/store.ts";
import { engineOptions, OWNER } from "../../support/engine.ts";
import { COLLECTION, slicesOf, written } from "../store/fixtures.ts";

const DIMENSIONS = 8;

/** A collection whose vectors are the caller's. */
export const WORLD: NewCollection = { ...COLLECTION, name: "world", dimensions: DIMENSIONS };

/** A document with a unit vector and words of its own, the same for the same number. */
export function numbered(number: number, edition = 1): DocumentWrite {
  const numbers = Array.from({ length: DIMENSIONS }, (_, at) =>
    Math.sin((number * 31 + edition * 7 + 1) * (at + 1)),
  );
  const length = Math.hypot(...numbers);
  const vector = new Float32Array(numbers.map((one) => one / length));
  const text = `common word${number % 7} only${number}x edition${edition}`;
  return { ...written(`d${number}`, text), title: `title ${number % 3}`, vector };
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

export async function write(
  store: LocalStore,
  { key }: CollectionRow,
  documents: readonly DocumentWrite[],
): Promise<void> {
  for (const slice of slicesOf(documents)) await store.writeDocuments(key, slice);
}

export async function remove(store: LocalStore, { key }: CollectionRow, numbers: number[]) {
  for (let start = 0; start < numbers.length; start += 100) {
    const slice = numbers.slice(start, start + 100);
    await store.deleteDocuments(
      key,
      slice.map((number) => `d${number}`),
    );
  }
}

/** What a collection's indexes answer to the same questions: keys and scores by vector, keys by word. */
export async function answersOf(engine: Engine, collection: CollectionRow) {
  await engine.reach(collection);
  const { index } = engine.words(collection) ?? {};
  const analyser = await createAnalyser("english");
  const queries = ["common", "word3", "only17x", "only205x", "title", "edition2", '"title 2"'];
  return {
    vectors: engine.vectorsOf(collection),
    nearest: [2, 77, 205, 1000].map((number) =>
      engine.nearest(collection, {
        vector: numbered(number).vector ?? new Float32Array(DIMENSIONS),
        k: 10,
      }),
    ),
    words: queries.map((text) => {
      const query = parseKeywordQuery(text, { analyser, termsMax: 32 });
      // Scores reckon with rows that died in sealed segments until these are written anew, so keys alone are compared.
      return index?.matching(query).toSorted((a, b) => a - b);
    }),
  };
}

interface Opened extends AsyncDisposable {
  store: LocalStore;
  engine: Engine;
  /** The same engine as whoever looks after its indexes sees it. */
  owner: IndexOwner;
}

/** A store over a folder that stays, and an engine that owns its index files and hears of its commits. */
export async function openWorld(
  folder: string,
  { fts5 = false, ...options }: Partial<EngineOptions> & Pick<LocalStoreOptions, "fts5"> = {},
): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await LocalStore.open(folder, { fts5 }));
  const role = { ...OWNER, onSealed: trimmer(store) };
  const engine = stack.use(
    await Engine.open(store, { ...engineOptions(folder), role, ...options }),
  );
  store.onCommit(({ collectionKey }) => engine.hear(collectionKey));
  const owned = stack.move();
  return {
    store,
    engine,
    owner: ownerOf(engine, store),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The indexes of a collection that is there. */
export function indexOf(engine: Engine, { key }: CollectionRow): CollectionIndex {
  const index = engine.findIndex(key);
  if (index === undefined) throw new Error("the collection has its indexes");
  return index;
}

/** The one collection of a world. */
export async function worldOf({ store }: Opened): Promise<CollectionRow> {
  const [collection] = await store.collections();
  if (collection === undefined) throw new Error("the world has a collection");
  return collection;
}
