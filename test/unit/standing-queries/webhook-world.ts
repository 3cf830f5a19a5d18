import type { NewStandingQuery } from "../../../src/contract/standing-queries.ts";
import type { Clock } from "../../../src/rooms/clock.ts";
import { systemClock } from "../../../src/rooms/clock.ts";
import {
  createStoredQueries,
  type StoredQueries,
  type StoredQueriesOptions,
} from "../../../src/standing-queries/stored-queries.ts";
import { createWebhookSender } from "../../../src/standing-queries/webhook-sender.ts";
import { eventually } from "../../support/process.ts";
import { startReceiver, type WebhookReceiver } from "../../support/webhook-receiver.ts";
import { openWorld, written, type World } from "./world.ts";

export interface WebhookWorldOptions extends Partial<StoredQueriesOptions> {
  /** Of the calls to the store in this process. */
  clock?: Clock;
}

/** Stored queries over real standing queries, with a receiver of their webhooks. */
export interface WebhookWorld extends AsyncDisposable {
  world: World;
  stored: StoredQueries;
  receiver: WebhookReceiver;
  /** A keyword query of `tyres` with the receiver as its webhook, whose id is given. */
  create(query?: Partial<NewStandingQuery>): Promise<string>;
  /** Writes documents that match, with numbers from `first` on as ids, many at once. */
  putMatching(first: number, count: number): Promise<void>;
  /** Resolves when the receiver has taken as many matches; gives their documents in order. */
  took(count: number, queryId?: string): Promise<string[]>;
  /** Ends the stored queries and begins them again, with the standing queries and the store under them. */
  restart(): Promise<void>;
  /** Ends the stored queries alone. */
  stop(): Promise<void>;
}

/** The collection has no model, so that all matches are of words. */
export async function openWebhookWorld(options: WebhookWorldOptions = {}): Promise<WebhookWorld> {
  await using stack = new AsyncDisposableStack();
  const receiver = stack.use(startReceiver());
  const world = stack.use(await openWorld({ collection: { model: "none", modelSha256: null } }));
  const begin = (): StoredQueries =>
    createStoredQueries({
      store: world.store,
      queries: world.queries,
      send: createWebhookSender({ privateAddresses: true }),
      privateAddresses: true,
      clock: systemClock,
      random: () => 0,
      ...options,
    });
  let stopped = false;
  const own: WebhookWorld = {
    world,
    stored: begin(),
    receiver,
    async create(query = {}) {
      const { id, webhook } = await own.stored.create({
        collection: "news",
        text: "tyres",
        mode: "keyword",
        webhook: { url: receiver.url },
        ...query,
      });
      if (webhook !== null) receiver.trust(id, webhook.secret);
      return id;
    },
    async putMatching(first, count) {
      const writes: Promise<unknown>[] = [];
      for (let at = first; at < first + count; at += 100) {
        const length = Math.min(100, first + count - at);
        const some = Array.from({ length }, (_, index) => written(`d${at + index}`, "new tyres"));
        writes.push(world.store.writeDocuments(world.collectionKey, some));
        // More at once would be refused.
        if (writes.length % 50 === 0) await Promise.all(writes);
      }
      await Promise.all(writes);
    },
    took: async (count, queryId) => {
      const taken = await eventually(`${count} matches are taken`, () => {
        const so = receiver.taken(queryId);
        return so.length >= count ? so : undefined;
      });
      return taken.map(({ doc }) => doc);
    },
    async stop() {
      if (!stopped) await own.stored[Symbol.asyncDispose]();
      stopped = true;
    },
    async restart() {
      await own.stop();
      await world.restart();
      own.stored = begin();
      stopped = false;
      own.stored.start();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  stack.defer(() => own.stop());
  const owned = stack.move();
  return own;
}

/** Ids as `putMatching` gives them. */
export function numbered(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `d${first + index}`);
}
