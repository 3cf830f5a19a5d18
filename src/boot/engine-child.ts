import { createCollectionReads } from "../collections/collections.ts";
import type { Config } from "../config.ts";
import { createDocumentReads } from "../documents/documents.ts";
import { Builder } from "../engine/builder.ts";
import type { EmbedArgs, PrepareArgs } from "../engine/calls.ts";
import type { FollowerRole, OwnerRole } from "../engine/collection-index.ts";
import { Engine } from "../engine/engine.ts";
import { ownNumbers } from "../engine/engine-numbers.ts";
import { ownerOf } from "../engine/engines.ts";
import { observeIndexes, observeModels } from "../engine/index-numbers.ts";
import { Models } from "../engine/models.ts";
import { sendToParent, serveCalls, type Handlers } from "../engine/serve-calls.ts";
import { createAnswerer } from "../http/answer.ts";
import { createDirectSearch } from "../http/direct-search.ts";
import { createQueryApp } from "../http/app.ts";
import { createTimeline, type Timeline } from "../lib/timeline.ts";
import { createSearch } from "../search/search.ts";
import { LocalReader } from "../store/local/local-reader.ts";
import { configureLogging, getLogger } from "../telemetry/logs.ts";
import { metrics } from "../telemetry/metrics.ts";
import { observeProcess } from "../telemetry/process-numbers.ts";
import { embedderOf, type Embedding } from "./embed-texts.ts";
import { engineOptionsOf } from "./engine-options.ts";
import { openSpans, type Spans } from "./telemetry.ts";

const log = getLogger("engine");

/** From the first moment of service to the loading of the models that the collections need. */
const warmAfterMs = 100;

/** What an engine's process is told first. */
export interface EngineStart {
  config: Config;
  /** Number of a query engine, of which the first owns the index files; a background engine has none. */
  number: number | undefined;
}

/** The whole life of an engine's process. */
export function runEngineChild(): Promise<never> {
  const timeline = createTimeline();
  const loaded = timeline.step("load the program", Promise.resolve(), 0);
  return serveCalls(async ({ config, number }: EngineStart) => {
    await loaded;
    await configureLogging(config, { push: (line) => sendToParent({ type: "log", line }) });
    metrics.enabled = config.metricsExporter !== "none";
    // In light traces an engine has no span, and its log lines have what comes with each request.
    const spans = config.traceDetail === "detailed" ? await openSpans(config) : undefined;
    return number === undefined
      ? openBackgroundEngine(spans)
      : openQueryEngine(config, number, { timeline, spans });
  });
}

/** Answers queries, and keeps the index files where it is the first. */
async function openQueryEngine(
  config: Config,
  number: number,
  { timeline, spans }: { timeline: Timeline; spans: Spans | undefined },
): Promise<Handlers> {
  await using stack = new AsyncDisposableStack();
  stack.use(spans);
  stack.use(observeProcess(`engine-${number}`));
  const fts5 = config.keywordIndex !== "postings";
  const store = stack.use(LocalReader.open(config.dataDir, { fts5 }));
  const role = number === 0 ? ownerRole(config, stack) : followerRole(number);
  const engine = stack.use(
    await timeline.step("open indexes", Engine.open(store, { ...engineOptionsOf(config), role })),
  );
  if (number === 0) stack.use(observeIndexes(engine, store));
  stack.use(observeModels(engine));
  const embedding = embedderOf(engine.models);
  const collections = createCollectionReads(store);
  const search = createSearch({ store, engine, kDefault: config.searchTopK });
  const app = createQueryApp({
    collections,
    documents: createDocumentReads(store),
    search,
    embedTexts: embedding.embedTexts,
    lifeCycleSpans: spans?.lifeCycle,
  });
  // Ready first, and whoever waits for that is told: loading a model holds this thread up.
  const warming = setTimeout(() => {
    engine.warm().catch((error: unknown) => log.warning("model.not_loaded", { error }));
  }, warmAfterMs);
  stack.defer(() => clearTimeout(warming));
  const owned = stack.move();
  return {
    suspicious: engine.suspicious,
    steps: timeline.steps,
    calls: {
      ...documentCalls(embedding),
      ...ownerOf(engine, store),
      request: createAnswerer(
        (request) => app.fetch(request),
        createDirectSearch({ collections, search }),
      ),
      forgetCollections: () => collections.forget(),
      hear: (collectionKeys: readonly number[]) => {
        for (const collectionKey of collectionKeys) engine.hear(collectionKey);
      },
      sealed: (collectionKey: number) => engine.hearSealed(collectionKey),
      numbers: ownNumbers,
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Embeds and prepares documents; it knows no data of its own. */
async function openBackgroundEngine(spans: Spans | undefined): Promise<Handlers> {
  const models = new Models();
  const embedding = embedderOf(models);
  const { embedTexts } = embedding;
  const app = createQueryApp({ embedTexts, lifeCycleSpans: spans?.lifeCycle });
  return {
    suspicious: false,
    steps: [],
    calls: {
      ...documentCalls(embedding),
      request: createAnswerer((request) => app.fetch(request)),
    },
    async [Symbol.asyncDispose]() {
      await models[Symbol.asyncDispose]();
      await spans?.[Symbol.asyncDispose]();
    },
  };
}

function documentCalls({ embed, embedTexts, prepare }: Embedding) {
  return {
    embed: ({ model, texts }: EmbedArgs) => embed(model, texts),
    embedTexts: ({ model, texts }: EmbedArgs) => embedTexts(model, texts),
    prepare: ({ inputs, ...options }: PrepareArgs) => prepare(inputs, options),
  };
}

function ownerRole(config: Config, stack: AsyncDisposableStack): OwnerRole {
  const builder = stack.use(new Builder());
  return {
    kind: "owner",
    run: (job, signal) => builder.run(job, signal),
    sealRows: config.indexSealRows,
    onSealed: (collectionKey, sequence) =>
      sendToParent({ type: "sealed", collectionKey, sequence }),
  };
}

function followerRole(follower: number): FollowerRole {
  return { kind: "follower", follower, onBroken: endBroken };
}

/** Its calls are given to others, and it is started again. */
function endBroken(error: unknown): void {
  log.error("index.follow_failed", { error });
  // Its last line leaves with it.
  setImmediate(() => process.exit(1));
}
