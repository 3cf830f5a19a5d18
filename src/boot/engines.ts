import type { Config } from "../config.ts";
import { startChildEngines, type ChildEngines } from "../engine/child-engines.ts";
import { openLocalEngines, type LocalEngines } from "../engine/engines.ts";
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
  const starting = startChildEngines({ count, startQuery, startBackground, requestMsMax });
  return {
    async open(store) {
      stored.resolve();
      const children = await starting.open(store);
      return {
        engines: children,
        children,
        search: remoteSearch(children, { requestId: () => crypto.randomUUID() }),
        embedTexts: (model, texts) => children.embedTexts({ model, texts }),
        prepare: (inputs, { collection, ids }) =>
          children.prepare<Prepared[]>({ collection, inputs, ids }),
      };
    },
    [Symbol.asyncDispose]: () => starting[Symbol.asyncDispose](),
  };
}
