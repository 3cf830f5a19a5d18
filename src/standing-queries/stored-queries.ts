import type {
  CreatedStandingQuery,
  Matches,
  NewStandingQuery,
  StandingQueryDetails,
} from "../contract/standing-queries.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { Clock } from "../rooms/clock.ts";
import type { LiveStream, Position } from "../rooms/stream.ts";
import type { StoredQueryRow, WebhookTarget } from "../store/stored-query-store.ts";
import type { Store } from "../store/store.ts";
import { outsideRequests } from "../telemetry/logs.ts";
import { createChangeTraces } from "./change-traces.ts";
import { createDeliveryWrites } from "./delivery-writes.ts";
import { describeStored } from "./describe-stored.ts";
import { MatchGatherer } from "./match-gatherer.ts";
import { readDefinition } from "./read-definition.ts";
import { readMatches } from "./read-matches.ts";
import type { StandingQueries } from "./standing-queries.ts";
import { OpenStored } from "./open-stored.ts";
import { definitionText, parseDefinition } from "./stored-definition.ts";
import { WaitingTally } from "./waiting-tally.ts";
import { newWebhookCounters, type WebhookCounters } from "./webhook-counters.ts";
import { WebhookDeliverer } from "./webhook-deliverer.ts";
import type { SendWebhook } from "./webhook-sender.ts";
import { isSecret, newSecret } from "./webhook-signature.ts";
import { readWebhookUrl } from "./webhook-url.ts";

export interface StoredQueriesOptions {
  store: Store;
  queries: StandingQueries;
  send: SendWebhook;
  /** Webhooks may be anywhere, and plain. */
  privateAddresses: boolean;
  clock: Clock;
  /** 0…1, for the pauses between tries of a webhook. */
  random?: () => number;
}

/** Standing queries that are kept without a listener, and sent where they are to go. */
export interface StoredQueries extends AsyncDisposable {
  readonly counters: Readonly<WebhookCounters>;
  /** Opens those that are stored and sends what waits, in the background. */
  start(): void;
  /** Documents are about to be changed: their matches belong to the trace that runs now. */
  changing: (collectionKey: number, ids: readonly string[]) => void;
  /** @throws Problem as `StandingQueries.open`, and for the webhook `invalid_request` */
  create(query: NewStandingQuery): Promise<CreatedStandingQuery>;
  /** @throws Problem `standing_query_not_found` */
  get(id: string): Promise<StandingQueryDetails>;
  /** In the order in which they were made, those after an id. */
  list(page: { after: string; limit: number }): Promise<StandingQueryDetails[]>;
  /** True if there was one. */
  remove(id: string): Promise<boolean>;
  /** Aborted when the query is removed. @throws Problem `standing_query_not_found`, `not_ready` */
  stream(id: string): Promise<{ stream: LiveStream; gone: AbortSignal }>;
  /** A page of matches after a position, or since the query was made. @throws as `stream` */
  matches(id: string, page: { since?: Position | undefined; limit?: number }): Promise<Matches>;
}

export function createStoredQueries(options: StoredQueriesOptions): StoredQueries {
  const { store } = options;
  const parts = openParts(options);
  const { counters, open } = parts;
  const describe = (row: StoredQueryRow): StandingQueryDetails =>
    describeStored(row, { epoch: store.epoch, opened: open.state(row.id) });
  const required = async (id: string): Promise<StoredQueryRow> => {
    const row = await store.storedQuery(id);
    if (row !== undefined) return row;
    throw new Problem("standing_query_not_found", "No stored standing query has this id.");
  };
  return {
    counters,
    start: () => outsideRequests(() => open.start()),
    changing(collectionKey, ids) {
      if (parts.gatherer.isBusy) parts.traces.changing(collectionKey, ids);
    },
    async create(query) {
      const row = await create(query, { ...options, open });
      const { webhook, ...rest } = describe(row);
      if (webhook === null || row.webhook === undefined) return { ...rest, webhook: null };
      return { ...rest, webhook: { ...webhook, secret: row.webhook.secret } };
    },
    get: async (id) => describe(await required(id)),
    list: async (page) => (await store.storedQueries(page)).map(describe),
    async remove(id) {
      const removed = await store.removeStoredQuery(id);
      open.remove(id);
      return removed;
    },
    async stream(id) {
      await required(id);
      return open.stream(id);
    },
    async matches(id, { since, limit = limits.storedMatchesPerPage }) {
      const { offset } = await required(id);
      const { stream } = open.stream(id);
      return readMatches(stream, { since: since ?? { epoch: store.epoch, offset }, limit });
    },
    async [Symbol.asyncDispose]() {
      open.close();
      await parts.gatherer[Symbol.asyncDispose]();
      await parts.deliverer[Symbol.asyncDispose]();
    },
  };
}

function openParts({ store, queries, send, clock, random = Math.random }: StoredQueriesOptions) {
  const tally = new WaitingTally();
  const counters = newWebhookCounters();
  const traces = createChangeTraces();
  const gatherer = new MatchGatherer({
    store,
    queries,
    tally,
    counters,
    clock,
    traces,
    write: createDeliveryWrites(store, clock),
    onQueued: (id) => deliverer.wake(id),
  });
  const deliverer: WebhookDeliverer = new WebhookDeliverer({
    store,
    send,
    tally,
    counters,
    clock,
    random,
    onDisabled: (id) => gatherer.stop(id),
  });
  const open = new OpenStored({ store, queries, gatherer, deliverer, tally, clock });
  return { counters, gatherer, deliverer, open, traces };
}

async function create(
  { webhook, ...definition }: NewStandingQuery,
  {
    store,
    queries,
    privateAddresses,
    open,
  }: Pick<StoredQueriesOptions, "store" | "queries" | "privateAddresses"> & { open: OpenStored },
): Promise<StoredQueryRow> {
  const target = webhook === undefined ? undefined : readTarget(webhook, { privateAddresses });
  const collection = await store.collection(definition.collection);
  if (collection === undefined)
    throw new Problem("collection_not_found", "There is no collection of this name.");
  const text = definitionText(readDefinition(definition, collection));
  // An alias may point elsewhere by the next start.
  const opened = await queries.open(parseDefinition(text, collection.name));
  try {
    const row = await store.addStoredQuery({
      id: `sq_${Bun.randomUUIDv7()}`,
      collectionKey: collection.key,
      definition: text,
      offset: opened.stream.head(),
      webhook: target,
    });
    outsideRequests(() => open.add(row, opened));
    return row;
  } catch (error) {
    opened.release();
    throw error;
  }
}

/** @throws Problem `invalid_request` */
function readTarget(
  { url, secret }: { url: string; secret?: string },
  options: { privateAddresses: boolean },
): WebhookTarget {
  if (secret !== undefined && !isSecret(secret)) {
    const message = "must be whsec_ and the base64 of 24 to 64 bytes";
    const field = "/webhook/secret";
    throw new Problem("invalid_request", `${field} ${message}.`, { errors: [{ field, message }] });
  }
  return { url: readWebhookUrl(url, options), secret: secret ?? newSecret() };
}
