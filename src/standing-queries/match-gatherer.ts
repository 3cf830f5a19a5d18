import { limits } from "../limits.ts";
import { Problem, PROBLEMS } from "../problems.ts";
import type { Clock } from "../rooms/clock.ts";
import type { LiveStream } from "../rooms/stream.ts";
import type {
  NewDelivery,
  QueuedDeliveries,
  StoredQueryRead,
  StoredQueryRow,
} from "../store/stored-query-store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { atMost } from "./at-most.ts";
import type { ChangeTraces } from "./change-traces.ts";
import { isMatch } from "./match-frames.ts";
import type { StandingQueries } from "./standing-queries.ts";
import type { WaitingTally } from "./waiting-tally.ts";
import type { WebhookCounters } from "./webhook-counters.ts";
import { documentOf, lostBody, matchBody } from "./webhook-message.ts";

const log = getLogger("webhooks");

/** Change numbers without a match after which it is written down how far a query is: so much is scored again after a crash. */
const SAVE_AFTER = 500;
const REPLAY_FRAMES = 200;
const REPLAY_BYTES = 256 * 1024;
/** Matches of one query that wait in memory while others are written; past it they are found by scoring again. */
const HELD_MAX = 1000;
const RETRY_MS_FIRST = 1000;
const RETRY_MS_MAX = 30_000;

export interface GathererOptions {
  store: Pick<StoredQueryRead, "storedQuery"> & { readonly epoch: string };
  queries: Pick<StandingQueries, "listen">;
  /** Puts matches into a query's queue; false where it does not stand where they begin. */
  write: (queued: QueuedDeliveries) => Promise<boolean>;
  tally: WaitingTally;
  counters: WebhookCounters;
  clock: Clock;
  traces: Pick<ChangeTraces, "of" | "size">;
  /** There is something to be sent. */
  onQueued: (queryId: string) => void;
}

/** A stored query. */
export type GatheredQuery = Pick<StoredQueryRow, "id" | "collectionKey">;

/** A query whose matches are gathered. */
interface Gathered {
  readonly id: string;
  readonly collectionKey: number;
  readonly stream: LiveStream;
  /** Nothing more is begun. */
  stopped: boolean;
  /** All its matches up to here are in its queue. */
  offset: number;
  /** Up to here they were told; those that are not in the queue are below. */
  toldOffset: number;
  told: string[];
  /** False while it is behind and its matches are found by scoring again: what is told then is not heard. */
  live: boolean;
  wake: () => void;
  ended: Promise<void>;
}

/**
 * Puts the matches of stored queries into the queues of their webhooks, as they are told, and together with how far that
 * goes. After a start, after a failure and where there was no room, what changed since is scored again: no match is lost, and
 * no more of them are held in memory than there is room for.
 */
export class MatchGatherer implements AsyncDisposable {
  readonly #options: GathererOptions;
  readonly #gathered = new Map<string, Gathered>();
  readonly #bySub = new Map<string, Set<Gathered>>();
  readonly #replays = atMost(limits.webhookReplaysMax);
  #heldCharacters = 0;
  #closing = false;

  constructor(options: GathererOptions) {
    this.#options = options;
    options.queries.listen((sub, frame, offset) => this.#hear(sub, frame, offset));
  }

  /** Gathers the matches after a change number from now on. */
  follow({ id, collectionKey }: GatheredQuery, stream: LiveStream, offset: number): void {
    if (this.#closing || this.#gathered.has(id)) return;
    const one: Gathered = {
      id,
      collectionKey,
      stream,
      stopped: false,
      offset,
      toldOffset: offset,
      told: [],
      live: false,
      wake: () => {},
      ended: Promise.resolve(),
    };
    this.#gathered.set(id, one);
    const sharing = this.#bySub.get(stream.sub) ?? new Set();
    this.#bySub.set(stream.sub, sharing.add(one));
    one.ended = this.#run(one);
  }

  /** Whether any matches are gathered. */
  get isBusy(): boolean {
    return this.#gathered.size > 0;
  }

  stop(id: string): void {
    const one = this.#gathered.get(id);
    if (one === undefined) return;
    this.#gathered.delete(id);
    const sharing = this.#bySub.get(one.stream.sub);
    sharing?.delete(one);
    if (sharing?.size === 0) this.#bySub.delete(one.stream.sub);
    this.#fallBehind(one);
    end(one);
  }

  /** Writes what was told, and how far each query is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    const all = [...this.#gathered.values()];
    for (const one of all) end(one);
    await Promise.all(all.map(({ ended }) => ended));
    for (const { id } of all) this.stop(id);
  }

  #hear(sub: string, frame: string, offset: number): void {
    const sharing = this.#bySub.get(sub);
    if (sharing === undefined) return;
    const body = isMatch(frame) ? matchBody(frame) : undefined;
    for (const one of sharing) {
      if (one.live && offset > one.toldOffset) this.#take(one, body, offset);
    }
  }

  #take(one: Gathered, body: string | undefined, offset: number): void {
    one.toldOffset = offset;
    if (body !== undefined) {
      one.told.push(body);
      this.#heldCharacters += body.length;
      const isTooMuch =
        one.told.length > HELD_MAX || this.#heldCharacters > limits.webhookCharactersHeldMax;
      if (isTooMuch) this.#fallBehind(one);
      one.wake();
    } else if (offset - one.offset >= SAVE_AFTER) {
      one.wake();
    }
  }

  /** Forgets what was told and is not in the queue yet: it is found again. */
  #fallBehind(one: Gathered): void {
    one.live = false;
    this.#heldCharacters -= charactersOf(one.told);
    one.told = [];
  }

  async #run(one: Gathered): Promise<void> {
    for (let retryMs = RETRY_MS_FIRST; !one.stopped;) {
      try {
        await this.#room(one);
        await this.#replays(() => this.#catchUp(one));
        retryMs = RETRY_MS_FIRST;
        await this.#gather(one);
      } catch (error) {
        this.#fallBehind(one);
        this.#logFailure(one, error, retryMs);
        await this.#pause(one, retryMs);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    }
    if (one.live) await this.#saveLast(one);
  }

  async #room(one: Gathered): Promise<void> {
    const { tally, counters } = this.#options;
    if (tally.hasRoom(one.id)) return;
    counters.held++;
    log.warning("webhook.held", { query_id: one.id, waiting: tally.of(one.id).count });
    while (!tally.hasRoom(one.id) && !one.stopped) {
      tally.onRoom(one.id, () => one.wake());
      await woken(one);
    }
  }

  /** Scores again what changed, up to the present; ends early where there is no room for more. */
  async #catchUp(one: Gathered): Promise<void> {
    const { stream } = one;
    let since: number | undefined;
    while (one.offset < stream.head()) {
      if (one.stopped || !this.#options.tally.hasRoom(one.id)) return;
      since ??= await this.#begin(one);
      const upTo = stream.head();
      if (one.offset >= upTo) break;
      const page = await stream.read({
        after: one.offset,
        since,
        upTo,
        framesMax: REPLAY_FRAMES,
        bytesMax: REPLAY_BYTES,
      });
      if (!(await this.#write(one, page.frames.map(matchBody), page.upTo))) return;
    }
    // Nothing is told between the last look at the head and this.
    one.toldOffset = one.offset;
    one.live = !one.stopped;
  }

  /** Where the replay begins: what cannot be scored again is told of as lost. */
  async #begin(one: Gathered): Promise<number> {
    const { store, counters } = this.#options;
    const { id, offset: after } = one;
    const since = { epoch: store.epoch, offset: after };
    const { recovered, reason, offset } = await one.stream.resume({ since });
    // A stream that starts again may stand before where the query was: that is ahead of it, and nothing is lost.
    if (recovered || reason === undefined || reason === "ahead") return after;
    counters.lost++;
    log.warning("webhook.lost", { query_id: id, reason, after, offset });
    const body = lostBody({ reason, after, offset });
    await this.#queue(one, { offset, deliveries: [{ kind: "lost", body }] });
    return one.offset;
  }

  /** Writes what is told, until the query falls behind. */
  async #gather(one: Gathered): Promise<void> {
    while (one.live && !one.stopped) {
      if (one.told.length === 0 && one.toldOffset - one.offset < SAVE_AFTER) {
        await woken(one);
        continue;
      }
      if (!this.#options.tally.hasRoom(one.id)) return this.#fallBehind(one);
      await this.#writeTold(one, one.toldOffset);
    }
  }

  async #writeTold(one: Gathered, upTo: number): Promise<void> {
    const bodies = one.told;
    one.told = [];
    this.#heldCharacters -= charactersOf(bodies);
    await this.#write(one, bodies, upTo);
  }

  /** At the end: all that was told, and that there was nothing else up to the stream's head. */
  async #saveLast(one: Gathered): Promise<void> {
    const upTo = Math.max(one.toldOffset, one.stream.head());
    try {
      if (upTo > one.offset) await this.#writeTold(one, upTo);
    } catch (error) {
      // It is scored again after the next start.
      log.warning("webhook.not_saved", { query_id: one.id, error });
    }
  }

  #write(one: Gathered, bodies: readonly string[], offset: number): Promise<boolean> {
    return this.#queue(one, {
      offset,
      deliveries: bodies.map((body) => ({ kind: "match", body, ...this.#traceOf(one, body) })),
    });
  }

  #traceOf({ collectionKey }: Gathered, body: string): Pick<NewDelivery, "trace"> {
    const { traces } = this.#options;
    if (traces.size === 0) return {};
    const id = documentOf(body);
    const trace = id === undefined ? undefined : traces.of(collectionKey, id);
    return trace === undefined ? {} : { trace };
  }

  /** False where the query's queue did not stand where it was thought to. */
  async #queue(
    one: Gathered,
    queued: Pick<QueuedDeliveries, "offset" | "deliveries">,
  ): Promise<boolean> {
    const { id, offset: after } = one;
    if (!(await this.#options.write({ queryId: id, after, ...queued }))) {
      await this.#lookAgain(one);
      return false;
    }
    one.offset = queued.offset;
    const { deliveries } = queued;
    if (deliveries.length === 0) return true;
    const characters = charactersOf(deliveries.map(({ body }) => body));
    this.#options.tally.add(id, { count: deliveries.length, characters });
    this.#options.onQueued(id);
    return true;
  }

  async #lookAgain(one: Gathered): Promise<void> {
    this.#fallBehind(one);
    const row = await this.#options.store.storedQuery(one.id);
    if (row?.webhook === undefined || row.webhook.disabledAtMs !== null) this.stop(one.id);
    else one.offset = row.webhook.offset;
    this.#options.onQueued(one.id);
  }

  #logFailure({ id }: Gathered, error: unknown, retryMs: number): void {
    const fields = { query_id: id, error, retry_ms: retryMs };
    // The matcher is being started again, or too much is to be written: that is waited for.
    if (error instanceof Problem && PROBLEMS[error.code].retry) log.info("webhook.waits", fields);
    else log.error("webhook.gathering_failed", fields);
  }

  async #pause(one: Gathered, ms: number): Promise<void> {
    if (one.stopped) return;
    const cancel = this.#options.clock.after(ms, () => one.wake());
    await woken(one);
    cancel();
  }
}

function end(one: Gathered): void {
  one.stopped = true;
  one.wake();
}

function woken(one: Gathered): Promise<void> {
  return new Promise((resolve) => (one.wake = resolve));
}

function charactersOf(bodies: readonly string[]): number {
  return bodies.reduce((sum, body) => sum + body.length, 0);
}
