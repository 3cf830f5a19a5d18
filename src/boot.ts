import { totalmem } from "node:os";
import { join } from "node:path";
import { createCollections } from "./collections/collections.ts";
import type { Config } from "./config.ts";
import { createDocuments } from "./documents/documents.ts";
import { createIdempotency } from "./documents/idempotency.ts";
import { Engine } from "./engine/engine.ts";
import type { Budgets } from "./engine/indexes.ts";
import { createApp } from "./http/app.ts";
import { createFront, type Front } from "./http/front.ts";
import type { Lifecycle } from "./http/lifecycle.ts";
import { listen } from "./http/serve.ts";
import { createMaintenance } from "./maintenance/maintenance.ts";
import { createSearch } from "./search/search.ts";
import { LocalStore } from "./store/local/local-store.ts";
import { LineSink } from "./telemetry/line-sink.ts";
import { configureLogging, getLogger } from "./telemetry/logs.ts";

const log = getLogger("boot");

/** After the last request, time for its answer to leave the socket. */
const CLOSE_MS = 200;

/** Everything but the socket: the CLI calls the same front in its own process. */
export interface Program extends AsyncDisposable {
  front: Front;
  lifecycle: Lifecycle;
  store: LocalStore;
}

/**
 * Opens each part in order; disposing closes them in the opposite one. Logs are configured by the caller.
 * @throws Problem of the part that could not be opened, with what was open before closed again
 */
export async function openProgram(config: Config): Promise<Program> {
  await using stack = new AsyncDisposableStack();
  const { keywordIndex } = config;
  const store = stack.use(
    await LocalStore.open(config.dataDir, { fts5: keywordIndex !== "postings" }),
  );
  const engine = stack.use(
    await Engine.open(store, {
      folder: config.indexPath ?? join(config.dataDir, "index"),
      vectorEngine: config.vectorIndex,
      sealRows: config.indexSealRows,
      keywordIndex,
      children: config.engines,
      budgets: budgetsOf(config),
    }),
  );
  const lifecycle: Lifecycle = { state: "starting" };
  const app = createApp({
    store,
    engine,
    collections: createCollections({ store, engine, defaultModel: config.embeddingModel }),
    documents: createDocuments({ store, engine }),
    idempotency: createIdempotency(store),
    search: createSearch({ store, engine, kDefault: config.searchTopK }),
    maintenance: createMaintenance({ store, engine }),
    lifecycle,
  });
  const front = createFront((request) => app.fetch(request), lifecycle);
  lifecycle.state = "ready";
  const owned = stack.move();
  return { front, lifecycle, store, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** Logs to a descriptor: 1 for a server, 2 for a command whose results are on 1. */
export async function openLogs(config: Config, descriptor: 1 | 2): Promise<LineSink> {
  const sink = new LineSink(descriptor);
  await configureLogging(config, sink);
  return sink;
}

export interface Served {
  url: string;
  /** Drains and closes everything; false if requests had to be left. */
  stop(): Promise<boolean>;
}

/** Opens the program and listens. @throws Problem `port_in_use`, and as `openProgram` */
export async function serve(config: Config): Promise<Served> {
  await using stack = new AsyncDisposableStack();
  log.info("app.starting", { data_dir: config.dataDir });
  const program = stack.use(await openProgram(config));
  const listening = listen(program.front, config);
  program.store.announce(listening.url);
  log.info("app.started", { url: listening.url });
  const owned = stack.move();
  return {
    url: listening.url,
    async stop() {
      log.info("app.stopping");
      program.lifecycle.state = "draining";
      const drained = await program.front.drained(config.drainTimeoutSeconds * 1000);
      await listening.stop(drained ? CLOSE_MS : 0);
      await owned.disposeAsync();
      log.info("app.stopped", { drained });
      return drained;
    },
  };
}

const MEGABYTE = 1024 * 1024;

/** Bytes that the indexes may take. */
function budgetsOf(config: Config): Budgets {
  return {
    memoryBytesMax:
      config.indexMemoryMegabytes === 0 ? totalmem() / 2 : config.indexMemoryMegabytes * MEGABYTE,
    collectionMemoryBytesMax: config.collectionMemoryMegabytes * MEGABYTE || Infinity,
    diskFreeBytesMin: config.diskFreeMegabytes * MEGABYTE,
  };
}
