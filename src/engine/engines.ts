import type { CollectionRow, Store, StoreRead } from "../store/store.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";
import { checkIndex, type IndexCheck } from "./check-index.ts";
import type { IndexReport } from "./collection-index.ts";
import { Engine, hasSameWeights, type EngineOptions } from "./engine.ts";
import type { EngineState } from "./engine-pool.ts";
import { countedEmbed } from "./embedding-numbers.ts";
import { embedOrGiveUp, type EmbedOptions } from "./embed-or-give-up.ts";
import { observeIndexes, observeModels } from "./index-numbers.ts";
import { Passages } from "./passages.ts";

const log = getLogger("index");

/** What the owner of the index files is asked for. */
export interface IndexOwner {
  openCollection(collection: CollectionRow): Promise<void>;
  dropCollection(collectionKey: number): Promise<void>;
  /** Waits for room for another write. @throws Problem `memory_full`, `storage_full` */
  room(collectionKey: number): Promise<void>;
  /** How a collection's indexes are; undefined while it is being made or dropped. */
  report(collectionKey: number): Promise<IndexReport | undefined>;
  /** How the indexes of all collections are. */
  reports(): Promise<IndexReport[]>;
  /** Merges a collection's segments until none has a dead row. */
  compact(collectionKey: number): Promise<void>;
  /** Removes a collection's index files and reads them from the store again. Resolves when that is done. */
  rebuild(collection: CollectionRow): Promise<void>;
  /** Compares a collection's indexes with the store; undefined while it is being made or dropped. */
  check(collection: CollectionRow): Promise<IndexCheck | undefined>;
}

/** The engines as the features see them, wherever they run. */
export interface Engines extends IndexOwner, AsyncDisposable {
  /** Resolves when all that was committed before the call can be found by meaning, or when the signal ends the wait. */
  caughtUp(signal: AbortSignal): Promise<void>;
  /**
   * The vectors of passages, as they would be embedded after a write; undefined where the model finds nothing in the text. At
   * most `limits.embeddingBatchMax` texts. @throws Problem `busy`, `embedding_failed` where the model itself fails
   */
  embedPassages(options: EmbedOptions): Promise<(Float32Array | undefined)[]>;
  /**
   * A collection or an alias has changed: what engines remember of them is not true any more, and what waits for its vectors
   * is looked at again.
   */
  forgetCollections(): void;
  /** How the engines are; none where they run in this process. */
  states(): EngineState[];
  /** True while documents that wait cannot be embedded. */
  embeddingFails(): boolean;
}

/** What an engine does as the owner of the index files. */
export function ownerOf(engine: Engine, store: StoreRead): IndexOwner {
  return {
    openCollection: (collection) => engine.openCollection(collection),
    dropCollection: (collectionKey) => engine.dropCollection(collectionKey),
    room: async (collectionKey) => {
      await engine.findIndex(collectionKey)?.reach();
      await engine.room(collectionKey);
    },
    report: async (collectionKey) => {
      const index = engine.findIndex(collectionKey);
      await index?.reach();
      return index?.report();
    },
    reports: async () => engine.indexReports(),
    compact: async (collectionKey) => engine.findIndex(collectionKey)?.compact(),
    rebuild: (collection) => engine.rebuild(collection),
    check: async (collection) => {
      const index = engine.findIndex(collection.key);
      return index === undefined ? undefined : checkIndex(store, index, collection);
    },
  };
}

export interface LocalEngines extends Engines {
  engine: Engine;
}

/** One engine in this process, which embeds documents too: for tests, for commands, and where children are not wanted. */
export async function openLocalEngines(
  store: Store,
  options: Omit<EngineOptions, "role"> & { sealRows?: number },
): Promise<LocalEngines> {
  const { sealRows, ...rest } = options;
  const onSealed = trimmer(store);
  const engine = await Engine.open(store, { ...rest, role: { kind: "owner", sealRows, onSealed } });
  const embed = countedEmbed(async (model, texts) =>
    (await engine.models.open(model)).embed(texts),
  );
  const passages = new Passages(store, embed, { accepts: hasSameWeights });
  using stack = new DisposableStack();
  stack.use(observeIndexes(engine, store));
  stack.use(observeModels(engine));
  store.onCommit((commit) => {
    engine.hear(commit.collectionKey);
    passages.apply(commit);
  });
  passages.start();
  const numbers = stack.move();
  return {
    ...ownerOf(engine, store),
    engine,
    caughtUp: (signal) => passages.caughtUp(signal),
    embedPassages: (passage) => embedOrGiveUp(embed, passage),
    // Searches of this process use the features' own memory of them.
    forgetCollections: () => passages.start(),
    states: () => [],
    embeddingFails: () => passages.failing,
    async [Symbol.asyncDispose]() {
      numbers.dispose();
      await passages[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** Cuts the index log off where nobody needs it any more. */
export function trimmer(store: Store): (collectionKey: number, sequence: number) => void {
  return (collectionKey, sequence) =>
    outsideRequests(() => {
      store
        .trimIndexLog(collectionKey, sequence)
        .catch((error: unknown) => log.warning("index.trim_failed", { error }));
    });
}
