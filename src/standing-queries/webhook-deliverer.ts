import { limits } from "../limits.ts";
import type { Clock } from "../rooms/clock.ts";
import type {
  SettledDeliveries,
  StoredQueryRead,
  StoredQueryWrite,
  WebhookDelivery,
  WebhookTarget,
} from "../store/stored-query-store.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { WaitingTally } from "./waiting-tally.ts";
import type { WebhookCounters } from "./webhook-counters.ts";
import { beginAttempt } from "./webhook-attempt.ts";
import { batchOf, messageOf } from "./webhook-message.ts";
import { createReadyLines } from "./ready-lines.ts";
import { retryPauseMs } from "./webhook-retry.ts";
import type { SendOutcome, SendWebhook } from "./webhook-sender.ts";

const log = getLogger("webhooks");

const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 10_000;

export interface DelivererOptions {
  store: Pick<StoredQueryRead, "webhookDeliveries"> &
    Pick<StoredQueryWrite, "settleDeliveries"> & { readonly epoch: string };
  send: SendWebhook;
  tally: WaitingTally;
  counters: WebhookCounters;
  clock: Clock;
  /** 0…1, for the pauses between tries. */
  random: () => number;
  /** A receiver wants nothing more. */
  onDisabled: (queryId: string) => void;
}

/** What waits for one webhook, in order and one request at a time. */
interface Line extends WebhookTarget {
  readonly queryId: string;
  readonly collection: string;
  readonly host: string;
  state: "idle" | "ready" | "sending" | "pausing";
  /** Something was queued while it was looked at. */
  woken: boolean;
  stopPause: () => void;
}

/**
 * Sends what waits for webhooks: for each query the first matches until they were taken, or were tried as often as may be;
 * many queries at once, few of them to the same host. What was sent and not settled is sent again after the next start.
 */
export class WebhookDeliverer implements AsyncDisposable {
  readonly #options: DelivererOptions;
  readonly #lines = new Map<string, Line>();
  readonly #ready = createReadyLines<Line>({
    max: limits.webhookRequestsMax,
    perHostMax: limits.webhookRequestsPerHostMax,
  });
  readonly #closed = new AbortController();
  readonly #sending = new Set<Promise<void>>();

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** Sends what waits for a query whenever it is woken. */
  follow(queryId: string, target: WebhookTarget & { collection: string }): void {
    const { url, secret, collection } = target;
    if (this.#closed.signal.aborted || this.#lines.has(queryId)) return;
    const { host } = new URL(url);
    const line = { queryId, collection, url, secret, host };
    this.#lines.set(queryId, { ...line, state: "idle", woken: false, stopPause: () => {} });
  }

  /** Something waits: it is sent. */
  wake(queryId: string): void {
    const line = this.#lines.get(queryId);
    if (line === undefined) return;
    line.woken = true;
    if (line.state === "idle") this.#line(line);
  }

  stop(queryId: string): void {
    const line = this.#lines.get(queryId);
    if (line === undefined) return;
    this.#lines.delete(queryId);
    this.#ready.remove(line);
    line.stopPause();
  }

  /** Waits a moment for requests under way; what is cut off is sent again at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const queryId of this.#lines.keys()) this.stop(queryId);
    const cancel = this.#options.clock.after(limits.webhookStopMsMax, () => this.#closed.abort());
    await Promise.all(this.#sending);
    cancel();
    this.#closed.abort();
  }

  /** The line waits for its turn. */
  #line(line: Line): void {
    if (!this.#has(line)) return;
    line.state = "ready";
    this.#ready.add(line);
    this.#sendReady();
  }

  #sendReady(): void {
    for (let line = this.#ready.take(); line !== undefined; line = this.#ready.take()) {
      const sending = this.#sendFirst(line).finally(() => {
        this.#sending.delete(sending);
        this.#sendReady();
      });
      this.#sending.add(sending);
    }
  }

  /** Never rejects. */
  async #sendFirst(line: Line): Promise<void> {
    line.state = "sending";
    line.woken = false;
    let pauseMs: number | undefined;
    try {
      const { store, clock } = this.#options;
      const waiting = await store.webhookDeliveries(
        line.queryId,
        limits.webhookMatchesPerRequestMax,
      );
      const batch = batchOf(waiting);
      const dueMs = (batch[0]?.nextAtMs ?? 0) - clock.now();
      if (batch.length === 0) pauseMs = undefined;
      else if (dueMs > 0) pauseMs = dueMs;
      else pauseMs = await this.#deliver(line, batch);
    } catch (error) {
      log.error("webhook.not_read", { query_id: line.queryId, error });
      pauseMs = RETRY_MS_MAX;
    } finally {
      this.#ready.done(line);
    }
    if (pauseMs !== undefined && pauseMs > 0) this.#pause(line, pauseMs);
    else if (pauseMs === 0 || line.woken) this.#line(line);
    else line.state = "idle";
  }

  /** Gives how long to wait before there is more to do. */
  async #deliver(line: Line, batch: readonly WebhookDelivery[]): Promise<number | undefined> {
    const { send, clock, counters, store } = this.#options;
    const { queryId, collection, url, secret } = line;
    const { id, body } = messageOf(batch, { queryId, collection, epoch: store.epoch });
    const attempts = batch[0]?.attempts ?? 0;
    const { signal } = this.#closed;
    counters.requests++;
    const atMs = clock.now();
    const attempt = beginAttempt(batch, { url, queryId, messageId: id });
    const { headers, fields } = attempt;
    const message = { id, url, secret, body, attempts, atMs, headers, signal };
    const outcome = await attempt.run(() => send(message));
    // It was cut off by the stop of the server, and is no failure of the receiver's.
    const isCutOff = signal.aborted && outcome.kind !== "taken";
    attempt.end(isCutOff ? undefined : outcome);
    if (isCutOff) return undefined;
    return this.#settle(line, batch, { outcome, fields: { ...fields, message_id: id } });
  }

  async #settle(
    line: Line,
    batch: readonly WebhookDelivery[],
    { outcome, fields: given }: { outcome: SendOutcome; fields: Record<string, string> },
  ): Promise<number | undefined> {
    const { queryId, host } = line;
    const upTo = batch.at(-1)?.id ?? 0;
    const attempts = (batch[0]?.attempts ?? 0) + 1;
    const fields = { query_id: queryId, host, matches: batch.length, ...given };
    const settled = this.#settledOf(outcome, { upTo, attempts });
    await this.#write(queryId, settled);
    switch (settled.kind) {
      case "delivered":
        this.#options.counters.delivered += batch.length;
        log.debug("webhook.delivered", { ...fields, attempts });
        this.#take(queryId, batch);
        return 0;
      case "retry": {
        const pauseMs = settled.nextAtMs - settled.atMs;
        log.warning("webhook.failed", {
          ...fields,
          attempts,
          error: settled.error,
          retry_ms: pauseMs,
        });
        return pauseMs;
      }
      case "given_up":
        this.#options.counters.givenUp += batch.length;
        log.error("webhook.given_up", { ...fields, attempts, error: settled.error });
        this.#take(queryId, batch);
        return 0;
      case "disabled":
        this.#disable(line, fields);
        return undefined;
      default:
        return settled satisfies never;
    }
  }

  #settledOf(
    outcome: SendOutcome,
    { upTo, attempts }: { upTo: number; attempts: number },
  ): SettledDeliveries {
    const { clock, counters, random } = this.#options;
    const at = { upTo, atMs: clock.now() };
    if (outcome.kind === "taken") return { ...at, kind: "delivered" };
    counters.failures++;
    if (outcome.kind === "gone")
      return { ...at, kind: "disabled", error: "it answered 410: nothing more is sent there" };
    const { error, askedMs } = outcome;
    const pauseMs = retryPauseMs(attempts, { random, askedMs });
    if (pauseMs === undefined) return { ...at, kind: "given_up", error };
    return { ...at, kind: "retry", nextAtMs: at.atMs + pauseMs, error };
  }

  #take(queryId: string, batch: readonly WebhookDelivery[]): void {
    const characters = batch.reduce((sum, { body }) => sum + body.length, 0);
    this.#options.tally.take(queryId, { count: batch.length, characters });
  }

  #disable({ queryId }: Line, fields: Record<string, unknown>): void {
    const { counters, tally, onDisabled } = this.#options;
    counters.disabled++;
    counters.givenUp += tally.of(queryId).count;
    log.warning("webhook.disabled", { ...fields, given_up: tally.of(queryId).count });
    tally.forget(queryId);
    this.stop(queryId);
    onDisabled(queryId);
  }

  /** Until it is written: what was taken would be sent again. */
  async #write(queryId: string, settled: SettledDeliveries): Promise<void> {
    for (let retryMs = RETRY_MS_FIRST; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      try {
        return await this.#options.store.settleDeliveries(queryId, settled);
      } catch (error) {
        if (this.#closed.signal.aborted) throw error;
        log.error("webhook.not_settled", { query_id: queryId, error, retry_ms: retryMs });
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#options.clock.after(retryMs, resolve);
      await promise;
    }
  }

  #pause(line: Line, ms: number): void {
    if (!this.#has(line)) return;
    line.state = "pausing";
    line.stopPause = this.#options.clock.after(Math.min(ms, PAUSE_MS_MAX), () => this.#line(line));
  }

  #has(line: Line): boolean {
    return this.#lines.get(line.queryId) === line;
  }
}

/** Longer timers are not what they seem: what is not due yet is paused again. */
const PAUSE_MS_MAX = 24 * 60 * 60_000;
