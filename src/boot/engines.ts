import type { Config } from "../config.ts";
import { startChildEngines, type ChildEngines } from "../engine/child-engines.ts";
import { openLocalEngines, type LocalEngines } from "../engine/engines.ts";
import { InThreadEngine } from "../engine/in-thread.ts";
import type { Prepared } from "../documents/prepare.ts";
import type { DocumentsDeps } from "../documents/documents.ts";
import type { EmbedTexts } from "../http/routes/openai.ts";
import { createSearch, type Search } from "../search/search.ts";
import type { Store } from "../store/store.ts";
import type { EngineStart } from "./engine-child.ts";
import { embedderOf } from "./embed-texts.ts";
import { engineCount, engineOptionsOf } from "./engine-options.ts";
import { remoteSearch } from "./remote-search.ts";

/** What computes, and how the features reach it. */
export interface Computing {
  engines: LocalEngines | ChildEngines;
  search: Search;
  prepare: DocumentsDeps["prepare"];
  embedTexts: EmbedTexts;
  /** Undefined where everything runs in this process. */
  children: ChildEngines | undefined;
  /** What this thread can search itself, beside the children. */
  inThread: { engine: InThreadEngine; search: Search } | undefined;
}

/** Engines that load their code while the store is being opened. */
export interface StartingEngines extends AsyncDisposable {
  /** Lets them open their indexes, and resolves when they serve. */
  open(store: Store): Promise<Computing>;
}

export function startEngines(config: Config): StartingEngines {
  const count = engineCount(config);
  return count === 0
    ? { open: (store) => computeHere(config, store), ...nothing }
    : startChildren(config, count);
}

const nothing = { [Symbol.asyncDispose]: async () => {} };

async function computeHere(config: Config, store: Store): Promise<Computing> {
  const engines = await openLocalEngines(store, {
    ...engineOptionsOf(config),
    sealRows: config.indexSealRows,
  });
  const { engine } = engines;
  const { prepare, embedTexts } = embedderOf(engine.models);
  return {
    engines,
    children: undefined,
    inThread: undefined,
    search: createSearch({ store, engine, kDefault: config.searchTopK }),
    embedTexts,
    prepare,
  };
}

function startChildren(config: Config, count: number): StartingEngines {
  const stored = Promise.withResolvers<void>();
  const startQuery = async (number: number): Promise<EngineStart> => {
    await stored.promise;
    return { config, number };
  };
  const startBackground: EngineStart = { config, number: undefined };
  const requestMsMax = config.requestTimeoutSeconds * 1000;
  let inThread: InThreadEngine | undefined;
  const onSealed = (collectionKey: number): void => void inThread?.close(collectionKey);
  const starting = startChildEngines({
    count,
    startQuery,
    startBackground,
    requestMsMax,
    onSealed,
  });
  return {
    async open(store) {
      stored.resolve();
      const children = await starting.open(store);
      inThread = await openInThread(config, store, count);
      return {
        engines: inThread === undefined ? children : lettingGo(children, inThread),
        children,
        inThread: inThread && {
          engine: inThread,
          search: createSearch({ store, engine: inThread.engine, kDefault: config.searchTopK }),
        },
        search: remoteSearch(children, { requestId: () => crypto.randomUUID() }),
        embedTexts: (model, texts) => children.embedTexts({ model, texts }),
        prepare: (inputs, { collection, ids }) =>
          children.prepare<Prepared[]>({ collection, inputs, ids }),
      };
    },
    [Symbol.asyncDispose]: () => starting[Symbol.asyncDispose](),
  };
}

/** Undefined where sealed vectors are not those that this thread can search. */
async function openInThread(
  config: Config,
  store: Store,
  follower: number,
): Promise<InThreadEngine | undefined> {
  if (config.vectorIndex !== "usearch") return undefined;
  const { folder, budgets } = engineOptionsOf(config);
  const engine = await InThreadEngine.open(store, { folder, budgets, follower });
  if (engine !== undefined) store.onCommit((commit) => engine.hear(commit));
  return engine;
}

/** The engines, before which this thread lets go of files that they remove. */
function lettingGo(children: ChildEngines, inThread: InThreadEngine): ChildEngines {
  return {
    ...children,
    async dropCollection(collectionKey) {
      await inThread.drop(collectionKey);
      await children.dropCollection(collectionKey);
    },
    async rebuild(collection) {
      await inThread.close(collection.key);
      await children.rebuild(collection);
    },
    async [Symbol.asyncDispose]() {
      await inThread[Symbol.asyncDispose]();
      await children[Symbol.asyncDispose]();
    },
  };
}
