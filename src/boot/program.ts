import { createCollections, type Collections } from "../collections/collections.ts";
import type { Config } from "../config.ts";
import { createDocuments, type Documents } from "../documents/documents.ts";
import { createIdempotency } from "../documents/idempotency.ts";
import type { Engines } from "../engine/engines.ts";
import { createApp } from "../http/app.ts";
import { createDirectUpsert } from "../http/direct-upsert.ts";
import { createForward } from "../http/forward.ts";
import { createEventStreams, type EventStreams } from "../http/event-streams.ts";
import { createFront, type Fetch, type Front } from "../http/front.ts";
import type { Edge } from "../http/edge.ts";
import { createHealth, type Health, type HealthParts } from "../http/health.ts";
import { createInThreadSearch } from "../http/in-thread-search.ts";
import type { LifeCycleSpans } from "../http/life-cycle-spans.ts";
import type { Lifecycle } from "../http/lifecycle.ts";
import { createRouteTemplates, type RouteOf } from "../http/route-templates.ts";
import { STARTING_PATHS, startingFetch } from "../http/starting.ts";
import { createTimeline, type Timeline } from "../lib/timeline.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { LiveFeatures } from "../live/features.ts";
import { systemClock } from "../rooms/clock.ts";
import { createRooms, type Rooms } from "../rooms/rooms.ts";
import type { EmbedTexts } from "../standing-queries/embed-queue.ts";
import { StandingRegistry } from "../standing-queries/registry.ts";
import { createStoredQueries, type StoredQueries } from "../standing-queries/stored-queries.ts";
import { createWebhookSender } from "../standing-queries/webhook-sender.ts";
import type { DataDirectoryStore } from "../store/local/local-store.ts";
import { WriterStore } from "../store/local/writer-store.ts";
import { getLogger } from "../telemetry/logs.ts";
import {
  auditedBackups,
  auditedCollections,
  auditedDocuments,
  auditedRooms,
  openAudit,
} from "./audited.ts";
import { createWork, type Work } from "./work.ts";
import { startEngines, type Computing } from "./engines.ts";
import { observeServer } from "./observe.ts";
import { closing, inTime } from "./steps.ts";

const log = getLogger("boot");

/** The program before its parts are open: its front answers probes, and refuses everything else. */
export interface StartingProgram {
  front: Front;
  lifecycle: Lifecycle;
  timeline: Timeline;
  /** Opens the parts in order. @throws Problem of the part that could not be opened, with all closed again */
  open(config: Config): Promise<Program>;
}

export interface ProgramOptions {
  /** See `AppDeps`. */
  lifeCycleSpans?: LifeCycleSpans | undefined;
  /** See `HealthOptions`. */
  nowMs?: () => number;
  /** See `FrontOptions`. */
  edge?: Edge;
}

interface Opening extends Pick<StartingProgram, "lifecycle" | "timeline"> {
  lifeCycleSpans: LifeCycleSpans | undefined;
  health: Health;
}

/** Everything but the socket: the CLI calls the same front in its own process. */
export interface Program extends AsyncDisposable {
  front: Front;
  lifecycle: Lifecycle;
  store: DataDirectoryStore;
  engines: Engines;
  /** What live connections can ask for. */
  live: LiveFeatures;
  events: Pick<EventStreams, "end">;
  /** Those that are stored are opened, and their webhooks sent to, by a server that says so. */
  storedQueries: Pick<StoredQueries, "start" | "counters">;
  jobs: Pick<Jobs, "drain">;
}

export function createProgram(options: ProgramOptions = {}): StartingProgram {
  const { lifeCycleSpans, nowMs, edge } = options;
  const timeline = createTimeline();
  const lifecycle: Lifecycle = { state: "starting", steps: timeline.steps };
  const health = createHealth(nowMs === undefined ? { lifecycle } : { lifecycle, nowMs });
  let fetch: Fetch = startingFetch(health);
  let routeOf = createRouteTemplates(STARTING_PATHS);
  const front = createFront((request) => fetch(request), lifecycle, {
    routeOf: (path) => routeOf(path),
    edge,
  });
  return {
    front,
    lifecycle,
    timeline,
    async open(config) {
      const parts = await openParts(config, { lifecycle, timeline, lifeCycleSpans, health });
      fetch = parts.fetch;
      routeOf = parts.routeOf;
      lifecycle.state = "ready";
      const { store, engines, live, events, storedQueries, jobs } = parts;
      return {
        front,
        lifecycle,
        store,
        engines,
        live,
        events,
        storedQueries,
        jobs,
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
  storedQueries: StoredQueries;
  fetch: Fetch;
  routeOf: RouteOf;
  store: DataDirectoryStore;
  engines: Engines;
  live: LiveFeatures;
  events: EventStreams;
  jobs: Jobs;
}

/** Disposing closes the parts in the opposite order. Logs are configured by the caller. */
async function openParts(
  config: Config,
  { lifecycle, timeline, lifeCycleSpans, health }: Opening,
): Promise<Parts> {
  await using stack = new AsyncDisposableStack();
  const step = stepsOf(config, timeline);
  const audit = openAudit(config);
  closing(stack, "audit log", audit);
  const starting = stack.use(startEngines(config));
  const store = await step("store", openStore(config));
  closing(stack, "store", store);
  const computing = await step("engines", starting.open(store));
  closing(stack, "engines", computing.engines);
  const rooms = auditedRooms(stack.use(createRooms({ store })), audit.write);
  const { engines, search, embedTexts, prepare } = computing;
  const { queries, storedQueries } = openQueries(stack, config, { store, embedTexts });
  const events = stack.use(createEventStreams(rooms, systemClock, [queries]));
  const collections = auditedCollections(
    createCollections({
      store,
      engines,
      defaultModel: config.embeddingModel,
      onDropped: (collectionKey) => queries.drop(collectionKey),
    }),
    audit.write,
  );
  const documents = auditedDocuments(
    createDocuments({ store, engines, prepare, onChanging: storedQueries.changing }),
    audit.write,
  );
  const features = { store, collections, documents, rooms, storedQueries };
  const work = createWork(config, { ...features, engines });
  closing(stack, "jobs", work);
  const backups = auditedBackups(work.backups, audit.write);
  const { fetch, routeOf } = await step(
    "app",
    Promise.resolve().then(() =>
      assemble({ ...features, ...work, backups, computing, events, health, lifeCycleSpans }),
    ),
  );
  await step("jobs", work.start());
  const { jobs } = work;
  health.watch(healthParts(config, { store, engines, jobs }));
  stack.use(observeServer(config, { store, lifecycle }));
  const owned = stack.move();
  return {
    fetch,
    routeOf,
    store,
    engines,
    events,
    storedQueries,
    jobs: work.jobs,
    live: {
      rooms,
      queries,
      search: async (name, request) => search.search(await collections.require(name), request),
      epoch: store.epoch,
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Standing queries: those that somebody listens to, and those that are stored. */
function openQueries(
  stack: AsyncDisposableStack,
  { dataDir: folder, webhookPrivateAddresses: privateAddresses }: Config,
  { store, embedTexts }: { store: DataDirectoryStore } & Pick<Computing, "embedTexts">,
) {
  const embed: EmbedTexts = async (model, texts) => (await embedTexts(model, texts)).vectors;
  const queries = stack.use(new StandingRegistry({ store, folder, embed }));
  const send = createWebhookSender({ privateAddresses });
  const stored = { store, queries, send, privateAddresses, clock: systemClock };
  return { queries, storedQueries: stack.use(createStoredQueries(stored)) };
}

/** Times a step of the start, and waits for it no longer than it may take. */
function stepsOf({ startupTimeoutSeconds }: Config, timeline: Timeline) {
  const limitMs = startupTimeoutSeconds * 1000;
  return <T>(name: string, work: Promise<T>): Promise<T> =>
    timeline.step(name, inTime(name, work, { limitMs }));
}

function healthParts(
  config: Config,
  parts: Pick<HealthParts, "store" | "engines" | "jobs">,
): HealthParts {
  const { dataDir, indexPath = dataDir } = config;
  return {
    ...parts,
    folders: [...new Set([dataDir, indexPath])],
    freeBytesMin: config.diskFreeMegabytes * 1024 * 1024,
    startupMsMin: config.startupUptimeSeconds * 1000,
    isDetailShown: config.healthDetail === "public",
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

interface Assembled
  extends Pick<Opening, "lifeCycleSpans">, Omit<Work, "start" | keyof AsyncDisposable> {
  store: DataDirectoryStore;
  computing: Computing;
  collections: Collections;
  documents: Documents;
  rooms: Rooms;
  storedQueries: StoredQueries;
  events: EventStreams;
  health: Health;
}

function assemble({ computing, ...parts }: Assembled): Pick<Parts, "fetch" | "routeOf"> {
  const { engines, children, inThread, search, embedTexts } = computing;
  const { collections, documents } = parts;
  const idempotency = createIdempotency(parts.store);
  const app = createApp({ ...parts, engines, idempotency, search, embedTexts });
  const upsert = createDirectUpsert({ collections, documents, idempotency });
  // Spans of the framework's steps are asked for where it is to be seen at work.
  const isSeen = parts.lifeCycleSpans !== undefined;
  const fetch: Fetch = (request) => (isSeen ? undefined : upsert(request)) ?? app.fetch(request);
  const routeOf = createRouteTemplates(app.routes.map(({ path }) => path));
  if (children === undefined) return { fetch, routeOf };
  const isIdle = (): boolean => children.isIdle();
  const ownSearch = inThread && createInThreadSearch({ ...inThread, collections, isIdle });
  return { fetch: createForward({ engines: children, fetch, search: ownSearch }), routeOf };
}
