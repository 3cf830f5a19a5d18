import { pause } from "../lib/pause.ts";
import type { StandingUpdate } from "../store/standing-store.ts";
import type { Store } from "../store/store.ts";
import { getLogger, outsideRequests } from "../telemetry/logs.ts";
import type { FromMatcher } from "./matcher-messages.ts";
import { MatcherThread, matcherLost } from "./matcher-thread.ts";
import { createSerial } from "./serial.ts";

const log = getLogger("standing_queries");

const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 10_000;
/** Rows of queries that tell of documents that match no longer are forgotten when nobody asked for so long. */
const LEAVES_KEPT_MS = 24 * 60 * 60 * 1000;
const FORGET_EVERY_MS = 60_000;

export interface SupervisedMatcherOptions {
  store: Store;
  folder: string;
  onTold: (told: Extract<FromMatcher<never>, { kind: "told" }>) => void;
  /** The lanes that there are. In one that takes the place of a lost one nothing is matched before their `go`. */
  lanes: () => string[];
  /** Gives such a matcher all that it had. */
  bringBack: (thread: MatcherThread) => Promise<void>;
  /** Queries that tell of leaving and are not to be forgotten. */
  leaving: () => string[];
  workerUrl?: string;
}

/** The matcher, which is started at its first use, and again with back-off where it is lost. */
export class SupervisedMatcher implements AsyncDisposable {
  readonly #options: SupervisedMatcherOptions;
  readonly #closed = new AbortController();
  /** Rows are written in the order in which they came. */
  readonly #writes = createSerial();
  #thread: MatcherThread | undefined;
  #starting: Promise<MatcherThread> | undefined;
  /** A slice of old rows is being removed. */
  #forgetting: Promise<unknown> | undefined;
  #forgotAtMs = -Infinity;

  constructor(options: SupervisedMatcherOptions) {
    this.#options = options;
  }

  /** @throws Problem `engine_lost` while there is none */
  current(): MatcherThread {
    if (this.#thread === undefined) throw matcherLost();
    return this.#thread;
  }

  /** Resolves with one that serves. @throws what the first start of all says where it fails */
  async started(): Promise<MatcherThread> {
    if (this.#closed.signal.aborted) throw matcherLost();
    // A query that came after the slice was begun may be one of those in it.
    await this.#forgetting;
    return this.#thread ?? (await (this.#starting ??= this.#startFirst()));
  }

  /** Does work, again and again where it fails, for as long as a matcher is there. */
  async persist(thread: MatcherThread, work: () => Promise<void>): Promise<void> {
    for (let retryMs = RETRY_MS_FIRST; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      try {
        return await work();
      } catch (error) {
        if (!thread.isOpen) return;
        log.error("standing_queries.not_brought_back", { error, retry_ms: retryMs });
      }
      await pause(retryMs, this.#closed.signal);
      if (!thread.isOpen) return;
    }
  }

  /** Forgets rows that nobody asked for in long, slice by slice; at most once a minute. */
  async forgetOld(): Promise<void> {
    if (performance.now() - this.#forgotAtMs < FORGET_EVERY_MS) return;
    this.#forgotAtMs = performance.now();
    const { store, leaving } = this.#options;
    const usedBeforeMs = Date.now() - LEAVES_KEPT_MS;
    try {
      for (let more = true; more && !this.#closed.signal.aborted;) {
        const slice = store.forgetStanding({ usedBeforeMs, except: leaving() });
        this.#forgetting = slice.catch(() => undefined);
        more = await slice;
      }
    } catch (error) {
      log.warning("standing_queries.not_forgotten", { error });
    }
    this.#forgetting = undefined;
  }

  tell(message: Parameters<MatcherThread["tell"]>[0]): void {
    this.#thread?.tell(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#starting?.catch(() => undefined);
    await this.#thread?.[Symbol.asyncDispose]();
    await this.#writes(async () => {});
  }

  async #startFirst(): Promise<MatcherThread> {
    try {
      this.#thread = await this.#start([]);
      return this.#thread;
    } finally {
      this.#starting = undefined;
    }
  }

  #start(held: readonly string[]): Promise<MatcherThread> {
    const { folder, onTold, workerUrl } = this.#options;
    const starting: Promise<MatcherThread> = outsideRequests(() =>
      MatcherThread.start({
        folder,
        held,
        onTold,
        onKeep: ({ ticket, update }) =>
          void this.#writes(async () => {
            await this.#write(update);
            (await starting).tell({ kind: "kept", ticket });
          }),
        onLost: (reason) => this.#lost(reason),
        ...(workerUrl === undefined ? {} : { workerUrl }),
      }),
    );
    return starting;
  }

  #lost(reason: unknown): void {
    log.error("standing_queries.matcher_lost", { error: reason });
    this.#thread = undefined;
    // One that is lost while it is being given its queries is started again by whoever gives them.
    if (this.#starting !== undefined || this.#closed.signal.aborted) return;
    this.#starting = this.#restart().finally(() => (this.#starting = undefined));
    this.#starting.catch(() => undefined);
  }

  async #restart(): Promise<MatcherThread> {
    for (let retryMs = RETRY_MS_FIRST; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      await pause(retryMs, this.#closed.signal);
      if (this.#closed.signal.aborted) throw matcherLost();
      try {
        const thread = await this.#start(this.#options.lanes());
        await this.#refill(thread);
        return (this.#thread = thread);
      } catch (error) {
        log.error("standing_queries.restart_failed", { error, retry_ms: retryMs });
      }
    }
  }

  async #refill(thread: MatcherThread): Promise<void> {
    try {
      await this.#options.bringBack(thread);
      log.info("standing_queries.matcher_back");
    } catch (error) {
      await thread[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Until it is written: what is lost here would be a leave that nobody hears of. */
  async #write(update: StandingUpdate): Promise<void> {
    for (let retryMs = RETRY_MS_FIRST; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      try {
        return await this.#options.store.keepStanding(update);
      } catch (error) {
        // It is made up for at the next start, from how far the rows are known to be right.
        if (this.#closed.signal.aborted) return;
        log.error("standing_queries.write_failed", { error, retry_ms: retryMs });
      }
      await pause(retryMs, this.#closed.signal);
    }
  }
}
