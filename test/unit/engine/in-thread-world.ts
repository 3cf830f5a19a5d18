import { Engine } from "../../../src/engine/engine.ts";
import { trimmer } from "../../../src/engine/engines.ts";
import { InThreadEngine } from "../../../src/engine/in-thread.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import type { CollectionRow } from "../../../src/store/store.ts";
import { engineOptions, NO_BUDGETS, OWNER } from "../../support/engine.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { numbered, range, WORLD, write } from "./world.ts";

/** Rows that make a segment have a graph. */
export const GRAPH_ROWS = 4200;

/**
 * A store with a collection of int8 graphs, the owner of its index files, and a thread that searches beside it and has not
 * heard of the first `documents`.
 */
export async function openInThread(documents = 0) {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(tempDir());
  const store = stack.use(await LocalStore.open(dir.path));
  const collection = await store.createCollection({ ...WORLD, quantization: "i8" });
  const options = { ...engineOptions(dir.path), vectorEngine: "usearch" as const };
  const trim = trimmer(store);
  let inThread: InThreadEngine | undefined;
  const onSealed = (key: number, sequence: number): void => {
    trim(key, sequence);
    void inThread?.close(key);
  };
  const owner = stack.use(await Engine.open(store, { ...options, role: { ...OWNER, onSealed } }));
  const writeRange = (from: number, to: number) =>
    write(
      store,
      collection,
      range(from, to).map((number) => numbered(number)),
    );
  await writeRange(0, documents);
  const { folder } = options;
  inThread = await InThreadEngine.open(store, { folder, budgets: NO_BUDGETS, follower: 1 });
  if (inThread === undefined) throw new Error("this processor scores int8 vectors");
  const here = stack.use(inThread);
  store.onCommit((commit) => {
    owner.hear(commit.collectionKey);
    here.hear(commit);
  });
  const owned = stack.move();
  return {
    store,
    collection,
    owner,
    here,
    folder,
    closed: () =>
      eventually("the thread has let go of the collection", () =>
        Promise.resolve(here.engine.findIndex(collection.key) === undefined ? true : undefined),
      ),
    write: writeRange,
    opened: (row: CollectionRow = collection) =>
      eventually("the thread searches the collection", () =>
        Promise.resolve(here.isOpen(row) ? true : undefined),
      ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
