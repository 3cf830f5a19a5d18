import type { EngineOptions } from "../../../src/engine/engine.ts";
import { openLocalEngines } from "../../../src/engine/engines.ts";
import { modelInfo } from "../../../src/embedding/open-embedder.ts";
import { LocalStore, type LocalStoreOptions } from "../../../src/store/local/local-store.ts";
import type { NewCollection } from "../../../src/store/store.ts";
import { engineOptions } from "../../support/engine.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION } from "../store/fixtures.ts";

const STATIC = modelInfo("static-256");

/** A collection that the quick static model embeds. */
export const EMBEDDED: NewCollection = {
  ...COLLECTION,
  name: "notes",
  model: STATIC.name,
  modelSha256: STATIC.sha256,
  dimensions: STATIC.dimensions,
  chunking: { strategy: "auto", tokens_max: 256, tokens_overlap: 0 },
  fusion: { method: "weighted", weight: STATIC.hybridWeight },
};

/** A store in a folder of its own, gone with it. */
export async function openStore(options: LocalStoreOptions = {}) {
  const dir = tempDir();
  const store = await LocalStore.open(dir.path, options);
  return {
    store,
    path: dir.path,
    async [Symbol.asyncDispose](): Promise<void> {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

/** The same with engines in this process, which embed and compare with every vector. */
export async function openEngine(options: Partial<EngineOptions> = {}) {
  await using stack = new AsyncDisposableStack();
  const { store, path } = stack.use(
    await openStore({ fts5: (options.keywordIndex ?? "postings") !== "postings" }),
  );
  const engines = stack.use(await openLocalEngines(store, { ...engineOptions(path), ...options }));
  const owned = stack.move();
  return {
    store,
    engines,
    engine: engines.engine,
    path,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Ends a wait that should not have to be that long. */
export const SOON_MS = 1500;
