import { createCollections } from "../collections/collections.ts";
import type { Config } from "../config.ts";
import { createDocuments } from "../documents/documents.ts";
import { createIdempotency } from "../documents/idempotency.ts";
import type { Engines } from "../engine/engines.ts";
import { createApp } from "../http/app.ts";
import { createForward } from "../http/forward.ts";
import { createFront, type Fetch, type Front } from "../http/front.ts";
import type { Lifecycle } from "../http/lifecycle.ts";
import { startingFetch } from "../http/starting.ts";
import { createTimeline, type Timeline } from "../lib/timeline.ts";
import { createMaintenance } from "../maintenance/maintenance.ts";
import type { DataDirectoryStore } from "../store/local/local-store.ts";
import { WriterStore } from "../store/local/writer-store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { startEngines, type Computing } from "./engines.ts";

const log = getLogger("boot");

/** The program before its parts are open: its front answers probes, and refuses everything else. */
export interface StartingProgram {
  front: Front;
  lifecycle: Lifecycle;
  timeline: Timeline;
  /** Opens the parts in order. @throws Problem of the part that could not be opened, with all closed again */
  open(config: Config): Promise<Program>;
}

/** Everything but the socket: the CLI calls the same front in its own process. */
export interface Program extends AsyncDisposable {
  front: Front;
  lifecycle: Lifecycle;
  store: DataDirectoryStore;
  engines: Engines;
}

export function createProgram(): StartingProgram {
  const timeline = createTimeline();
  const lifecycle: Lifecycle = { state: "starting", steps: timeline.steps };
  let fetch: Fetch = startingFetch(lifecycle);
  const front = createFront((request) => fetch(request), lifecycle);
  return {
    front,
    lifecycle,
    timeline,
    async open(config) {
      const parts = await openParts(config, { lifecycle, timeline });
      fetch = parts.fetch;
      lifecycle.state = "ready";
      const { store, engines } = parts;
      return {
        front,
        lifecycle,
        store,
        engines,
        [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
      };
    },
  };
}

/** The program as a whole. @throws as `StartingProgram.open` */
export function openProgram(config: Config): Promise<Program> {
  return createProgram().open(config);
}

interface Parts extends AsyncDisposable {
  fetch: Fetch;
  store: DataDirectoryStore;
  engines: Engines;
}

/** Disposing closes the parts in the opposite order. Logs are configured by the caller. */
async function openParts(
  config: Config,
  { lifecycle, timeline }: Pick<StartingProgram, "lifecycle" | "timeline">,
): Promise<Parts> {
  await using stack = new AsyncDisposableStack();
  const starting = stack.use(startEngines(config));
  const store = stack.use(await timeline.step("store", openStore(config)));
  const computing = await timeline.step("engines", starting.open(store));
  stack.use(computing.engines);
  const fetch = await timeline.step(
    "app",
    Promise.resolve().then(() => assemble(config, { store, computing, lifecycle })),
  );
  const owned = stack.move();
  return {
    fetch,
    store,
    engines: computing.engines,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function openStore(config: Config): Promise<DataDirectoryStore> {
  return WriterStore.open(config.dataDir, {
    fts5: config.keywordIndex !== "postings",
    durability: config.durability,
    transactionDocumentsMax: config.writeTransactionDocuments,
    // Reads go on; whoever looks after the process sees it in the log and in every refused write.
    onLost: (error) => log.fatal("store.writer_lost", { error }),
  });
}

function assemble(
  config: Config,
  {
    store,
    computing,
    lifecycle,
  }: { store: DataDirectoryStore; computing: Computing; lifecycle: Lifecycle },
): Fetch {
  const { engines, children, search, prepare, embedTexts } = computing;
  const app = createApp({
    store,
    engines,
    collections: createCollections({ store, engines, defaultModel: config.embeddingModel }),
    documents: createDocuments({ store, engines, prepare }),
    idempotency: createIdempotency(store),
    search,
    embedTexts,
    maintenance: createMaintenance({ store, engines }),
    lifecycle,
  });
  const fetch: Fetch = (request) => app.fetch(request);
  return children === undefined ? fetch : createForward(children, fetch);
}
