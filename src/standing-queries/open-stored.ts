import { setImmediate as nextTurn } from "node:timers/promises";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { Clock } from "../rooms/clock.ts";
import type { LiveStream } from "../rooms/stream.ts";
import type { StoredQueryRead, StoredQueryRow } from "../store/stored-query-store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { atMost } from "./at-most.ts";
import type { MatchGatherer } from "./match-gatherer.ts";
import type { OpenQuery, StandingQueries } from "./standing-queries.ts";
import { parseDefinition } from "./stored-definition.ts";
import type { WaitingTally } from "./waiting-tally.ts";
import type { WebhookDeliverer } from "./webhook-deliverer.ts";

const log = getLogger("standing_queries");

const RETRY_MS_FIRST = 1000;
const RETRY_MS_MAX = 5 * 60_000;
/** Between two looks for queries whose collection was dropped. */
const SWEEP_MS = 60_000;
/** Rows read between two turns of the event loop. */
const PAGE_ROWS = 100;

export interface OpenStoredOptions {
  store: Pick<StoredQueryRead, "storedQueries" | "storedQueryIds" | "webhooksWaiting">;
  queries: Pick<StandingQueries, "open">;
  gatherer: MatchGatherer;
  deliverer: WebhookDeliverer;
  tally: WaitingTally;
  clock: Clock;
}

interface Entry {
  readonly row: StoredQueryRow;
  readonly gone: AbortController;
  open: OpenQuery | undefined;
  /** Why it could not be opened. */
  error: string | null;
  stopRetry: () => void;
}

/** The stored queries of this process: each is kept open, so that its matches are found as they come. */
export class OpenStored {
  readonly #options: OpenStoredOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #opening = atMost(limits.storedQueriesOpeningMax);
  #closed = false;
  #stopTimer: () => void = () => {};

  constructor(options: OpenStoredOptions) {
    this.#options = options;
  }

  /** Opens what is stored, page by page, while requests are served. */
  start(): void {
    void this.#load(RETRY_MS_FIRST);
  }

  /** One that was just stored. */
  add(row: StoredQueryRow, open: OpenQuery): void {
    if (this.#closed || this.#entries.has(row.id)) return open.release();
    this.#opened(this.#enter(row), open);
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { gatherer, deliverer, tally } = this.#options;
    this.#entries.delete(id);
    gatherer.stop(id);
    deliverer.stop(id);
    tally.forget(id);
    entry.stopRetry();
    entry.gone.abort();
    entry.open?.release();
  }

  /** @throws Problem `not_ready` while it is being opened */
  stream(id: string): { stream: LiveStream; gone: AbortSignal } {
    const entry = this.#entries.get(id);
    if (entry?.open === undefined) {
      throw new Problem("not_ready", "The standing query is being opened again.", {
        retryAfterMs: 1000,
      });
    }
    return { stream: entry.open.stream, gone: entry.gone.signal };
  }

  /** Its stream's name, and why it has none. */
  state(id: string): { sub: string | null; error: string | null } {
    const entry = this.#entries.get(id);
    return { sub: entry?.open?.stream.sub ?? null, error: entry?.error ?? null };
  }

  /** Nothing more is opened; what is open stays so, for those who still write what it told. */
  close(): void {
    this.#closed = true;
    this.#stopTimer();
    for (const { stopRetry } of this.#entries.values()) stopRetry();
  }

  async #load(retryMs: number): Promise<void> {
    const { store, tally, clock } = this.#options;
    try {
      for (const { queryId, ...waiting } of await store.webhooksWaiting()) {
        if (tally.of(queryId).count === 0) tally.add(queryId, waiting);
      }
      for (let after: string | undefined = ""; after !== undefined && !this.#closed;) {
        const rows = await store.storedQueries({ after, limit: PAGE_ROWS });
        for (const row of rows) if (!this.#entries.has(row.id)) this.#begin(row);
        after = rows.at(-1)?.id;
        await nextTurn();
      }
      this.#sweepLater();
    } catch (error) {
      if (this.#closed) return;
      log.error("standing_queries.not_loaded", { error, retry_ms: retryMs });
      const nextMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      this.#stopTimer = clock.after(retryMs, () => void this.#load(nextMs));
    }
  }

  /** What waits is sent at once, whether the query can be opened or not. */
  #begin(row: StoredQueryRow): void {
    const entry = this.#enter(row);
    void this.#open(entry, RETRY_MS_FIRST);
  }

  #enter(row: StoredQueryRow): Entry {
    const gone = new AbortController();
    const entry = { row, gone, open: undefined, error: null, stopRetry: () => {} };
    this.#entries.set(row.id, entry);
    const { collection, webhook } = row;
    if (webhook !== undefined && webhook.disabledAtMs === null) {
      const { url, secret, waiting } = webhook;
      const { deliverer } = this.#options;
      deliverer.follow(row.id, { url, secret, collection });
      // A start with many queries must not look into the queue of each.
      if (waiting > 0) deliverer.wake(row.id);
    }
    return entry;
  }

  async #open(entry: Entry, retryMs: number): Promise<void> {
    const { row } = entry;
    try {
      const definition = parseDefinition(row.definition, row.collection);
      const open = await this.#opening(async () => {
        // Messages of a Worker that answers at once would leave no turn to anything else.
        await nextTurn();
        return this.#options.queries.open(definition);
      });
      if (this.#closed || this.#entries.get(row.id) !== entry) return open.release();
      this.#opened(entry, open);
    } catch (error) {
      this.#notOpened(entry, { error, retryMs });
    }
  }

  #opened(entry: Entry, open: OpenQuery): void {
    entry.open = open;
    entry.error = null;
    const { webhook } = entry.row;
    if (webhook === undefined || webhook.disabledAtMs !== null) return;
    this.#options.gatherer.follow(entry.row, open.stream, webhook.offset);
  }

  #notOpened(entry: Entry, { error, retryMs }: { error: unknown; retryMs: number }): void {
    const { row } = entry;
    if (this.#closed || this.#entries.get(row.id) !== entry) return;
    entry.error = error instanceof Problem ? error.detail : "It failed on our side.";
    log.warning("standing_queries.not_opened", { query_id: row.id, error, retry_ms: retryMs });
    const nextMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    entry.stopRetry = this.#options.clock.after(retryMs, () => void this.#open(entry, nextMs));
  }

  #sweepLater(): void {
    if (this.#closed) return;
    this.#stopTimer = this.#options.clock.after(SWEEP_MS, () => void this.#sweep());
  }

  /** With a collection its stored queries go: nobody says so, and they are quiet. */
  async #sweep(): Promise<void> {
    try {
      const ids = [...this.#entries.keys()];
      const stored = new Set(await this.#options.store.storedQueryIds());
      for (const id of ids) if (!stored.has(id)) this.remove(id);
    } catch (error) {
      log.warning("standing_queries.not_swept", { error });
    }
    this.#sweepLater();
  }
}
