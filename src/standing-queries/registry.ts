import { requireSameWeights } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import { Problem, PROBLEMS } from "../problems.ts";
import type { EndListener, FrameListener, LiveStream } from "../rooms/stream.ts";
import type { CollectionRow, Store } from "../store/store.ts";
import { outsideRequests } from "../telemetry/logs.ts";
import { createEmbedQueue, type EmbedTexts } from "./embed-queue.ts";
import { progressFrame } from "./match-frames.ts";
import type { AddQuery, FromMatcher } from "./matcher-messages.ts";
import type { MatcherThread } from "./matcher-thread.ts";
import { createQueryStream } from "./query-stream.ts";
import { readDefinition } from "./read-definition.ts";
import { laneKey, laneOf, tellsLeave, type StandingQuery } from "./standing-query.ts";
import type { OpenQuery, StandingQueries, StandingQueryDefinition } from "./standing-queries.ts";
import { SupervisedMatcher } from "./supervised-matcher.ts";

export interface StandingQueriesOptions {
  store: Store;
  /** The data directory, which the matcher reads by itself. */
  folder: string;
  embed: EmbedTexts;
  /** How long a query that nobody listens to stays: who reconnects finds it warm. A minute by default. */
  lingerMs?: number;
  /** Between two looks at the same query: for its progress to be told, or for it to go. 15 s by default. */
  roundMs?: number;
  /** Where the Worker's code is; its own file by default. */
  workerUrl?: string;
}

/** Turns of a round: each looks at its share of the queries, so that none takes long. */
const TURNS = 15;
/** What a query takes beside its vector and its definition. */
const QUERY_BYTES = 512;
/** A float32 and a code for each dimension. */
const DIMENSION_BYTES = 5;
/** Queries that are brought back at once after a loss of the matcher. */
const BACK_AT_ONCE = 256;

interface Entry {
  query: StandingQuery;
  collection: CollectionRow;
  stream: LiveStream;
  bytes: number;
  listeners: number;
  releasedAtMs: number;
  /** The last offset that its listeners were told, by a match or by progress. */
  toldOffset: number;
  knownFrom: number;
  /** Why nothing comes of it any more. */
  ended: Problem | undefined;
  /** Resolves when it is being matched. */
  ready: Promise<void>;
}

/**
 * The standing queries that somebody listens to, seen from the thread of the sockets: it counts who listens and where each
 * stream stands, and the matching is another thread's.
 */
export class StandingRegistry implements StandingQueries, AsyncDisposable {
  readonly #store: Store;
  readonly #options: StandingQueriesOptions;
  readonly #embed: ReturnType<typeof createEmbedQueue>;
  readonly #entries = new Map<string, Entry>();
  readonly #turns = Array.from({ length: TURNS }, () => new Set<Entry>());
  readonly #listeners: FrameListener[] = [];
  readonly #endListeners: EndListener[] = [];
  /** By lane: how far its changes have been matched and told. */
  readonly #cursors = new Map<string, number>();
  /** Lanes that are being brought back after a loss of the matcher: they go on from their cursors. */
  readonly #returning = new Set<string>();
  readonly #matcher: SupervisedMatcher;
  #heard = new Set<number>();
  #bytes = 0;
  #turn = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: StandingQueriesOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#embed = createEmbedQueue(options.embed);
    this.#matcher = new SupervisedMatcher({
      ...options,
      onTold: (told) => this.#tell(told),
      lanes: () => [...this.#lanes().keys()],
      bringBack: (thread) => this.#bringBack(thread),
      leaving: () =>
        [...this.#entries.values()].flatMap(({ query }) => (tellsLeave(query) ? query.hash : [])),
    });
    this.#store.onCommit(({ collectionKey }) => this.#hear(collectionKey));
  }

  listen(listener: FrameListener): void {
    this.#listeners.push(listener);
  }

  listenEnds(listener: EndListener): void {
    this.#endListeners.push(listener);
  }

  /** A collection is gone, and so are its queries: who listens to them is told. */
  drop(collectionKey: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.query.collectionKey !== collectionKey) continue;
      this.#end(entry, dropped());
    }
  }

  async open(definition: StandingQueryDefinition): Promise<OpenQuery> {
    const collection = await this.#store.collection(definition.collection);
    if (collection === undefined)
      throw new Problem("collection_not_found", "There is no collection of this name.");
    const query = readDefinition(definition, collection);
    const entry = this.#entries.get(query.hash) ?? this.#register(query, collection);
    entry.listeners++;
    const release = once(() => {
      entry.listeners--;
      entry.releasedAtMs = performance.now();
    });
    try {
      await entry.ready;
      // One that was dropped between the first look and the registration was not among those that its end was told to.
      if ((await this.#store.collection(collection.name))?.key !== collection.key)
        this.#end(entry, dropped());
      if (entry.ended !== undefined) throw entry.ended;
    } catch (error) {
      release();
      throw error;
    }
    return { stream: entry.stream, minScore: query.minScore, model: collection.model, release };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#matcher[Symbol.asyncDispose]();
  }

  #register(query: StandingQuery, collection: CollectionRow): Entry {
    const bytes = bytesOf(query, collection);
    this.#makeRoom(bytes);
    const entry: Entry = {
      query,
      collection,
      bytes,
      listeners: 0,
      releasedAtMs: 0,
      toldOffset: 0,
      knownFrom: 0,
      ended: undefined,
      ready: Promise.resolve(),
      stream: createQueryStream({
        query,
        epoch: this.#store.epoch,
        head: () => Math.max(this.#cursorOf(query), entry.toldOffset),
        ended: () => entry.ended,
        knownFrom: () => entry.knownFrom,
        matcher: () => this.#matcher.current(),
      }),
    };
    this.#entries.set(query.hash, entry);
    this.#turns[this.#entries.size % TURNS]?.add(entry);
    this.#bytes += bytes;
    const turnMs = (this.#options.roundMs ?? 15_000) / TURNS;
    this.#timer ??= outsideRequests(() => setInterval(() => this.#look(), turnMs).unref());
    entry.ready = this.#start(entry);
    entry.ready.catch(() => this.#retire(entry));
    return entry;
  }

  /** @throws Problem `limit_reached` where there is none even without the queries that nobody listens to */
  #makeRoom(bytes: number): void {
    const isFull = (): boolean =>
      this.#entries.size >= limits.standingQueriesMax ||
      this.#bytes + bytes > limits.standingQueriesBytesMax;
    if (!isFull()) return;
    for (const entry of this.#entries.values()) {
      if (entry.listeners === 0) this.#retire(entry);
      if (!isFull()) return;
    }
    throw new Problem("limit_reached", "There are as many standing queries as there may be.");
  }

  async #start(entry: Entry): Promise<void> {
    const added = await this.#vectorOf(entry);
    const thread = await this.#matcher.started();
    await this.#add(thread, added, entry);
  }

  /** What the matcher is given of a query. @throws Problem `model_mismatch`, `embedding_failed`, `empty_text` */
  async #vectorOf({ query, collection }: Entry): Promise<AddQuery> {
    const { key, dimensions, keyword, model } = collection;
    const add = { query, collection: { key, dimensions, keyword } };
    if (laneOf(query) === "words") return { ...add, vector: undefined };
    requireSameWeights(collection);
    const vector = await this.#embed(model, query.text);
    if (vector === undefined && query.mode === "semantic")
      throw new Problem("empty_text", `${model} knows no word of the query.`);
    // Words may be enough for a hybrid query; nothing is near to a vector of zeros.
    return { ...add, vector: vector ?? new Float32Array(dimensions) };
  }

  async #add(thread: MatcherThread, add: AddQuery, entry: Entry): Promise<void> {
    const lane = laneKeyOf(entry.query);
    const from = this.#returning.has(lane) ? this.#cursors.get(lane) : undefined;
    const given = from === undefined ? add : { ...add, cursor: from };
    const { cursor, knownFrom } = await thread.call("add", given);
    this.#moveCursor(lane, cursor);
    entry.knownFrom = Math.max(entry.knownFrom, knownFrom);
    entry.toldOffset = Math.max(entry.toldOffset, cursor);
  }

  /** The queries of each lane. */
  #lanes(): Map<string, Entry[]> {
    return Map.groupBy(this.#entries.values(), ({ query }) => laneKeyOf(query));
  }

  /**
   * After a loss: all queries again, each lane from where it was told to its listeners. Words need no model; where one
   * fails, only its own lanes wait for it.
   */
  async #bringBack(thread: MatcherThread): Promise<void> {
    const lanes = this.#lanes();
    for (const lane of lanes.keys()) this.#returning.add(lane);
    for (const [lane, entries] of lanes) {
      const needsModel = entries.some(({ query }) => laneOf(query) === "vectors");
      const back = (): Promise<void> => this.#bringLaneBack(thread, lane);
      if (needsModel) void this.#matcher.persist(thread, back);
      else await back();
    }
  }

  async #bringLaneBack(thread: MatcherThread, lane: string): Promise<void> {
    const entries = this.#lanes().get(lane) ?? [];
    for (let start = 0; start < entries.length; start += BACK_AT_ONCE) {
      const some = entries.slice(start, start + BACK_AT_ONCE);
      await Promise.all(some.map((entry) => this.#addAgain(thread, entry)));
    }
    if (!thread.isOpen) return;
    this.#returning.delete(lane);
    thread.tell({ kind: "go", lane });
  }

  async #addAgain(thread: MatcherThread, entry: Entry): Promise<void> {
    const { hash } = entry.query;
    try {
      await this.#add(thread, await this.#vectorOf(entry), entry);
    } catch (error) {
      // One whose collection has gone must not keep the others from coming back.
      if (!(error instanceof Problem) || PROBLEMS[error.code].retry) throw error;
      this.#forget(entry);
    }
    // Nobody wanted it any more while it was on its way.
    if (!this.#entries.has(hash)) thread.tell({ kind: "remove", hash });
  }

  #hear(collectionKey: number): void {
    if (this.#entries.size === 0) return;
    // The commits of one message go on in one.
    if (this.#heard.size === 0) {
      queueMicrotask(() => {
        this.#matcher.tell({ kind: "heard", collectionKeys: [...this.#heard] });
        this.#heard = new Set();
      });
    }
    this.#heard.add(collectionKey);
  }

  #tell(told: Extract<FromMatcher<never>, { kind: "told" }>): void {
    for (const { hash, offset, frame } of told.matches) {
      const entry = this.#entries.get(hash);
      // A matcher that was lost may have told a part of what matches a document; the next one tells all of it.
      if (entry === undefined || offset <= entry.toldOffset) continue;
      entry.toldOffset = offset;
      if (entry.listeners === 0) continue;
      for (const listener of this.#listeners) listener(entry.stream.sub, frame, offset);
    }
    this.#moveCursor(laneKey({ ...told, kind: told.lane }), told.cursor);
  }

  /** Tells progress, and lets go of queries that nobody came back to: one share of them. */
  #look(): void {
    this.#turn = (this.#turn + 1) % TURNS;
    if (this.#turn === 0) void this.#matcher.forgetOld();
    const lingerMs = this.#options.lingerMs ?? 60_000;
    for (const entry of this.#turns[this.#turn] ?? []) {
      if (entry.listeners === 0) {
        if (performance.now() - entry.releasedAtMs >= lingerMs) this.#retire(entry);
        continue;
      }
      const offset = entry.stream.head();
      if (offset <= entry.toldOffset) continue;
      entry.toldOffset = offset;
      const { sub } = entry.stream;
      for (const listener of this.#listeners) listener(sub, progressFrame(sub, offset), offset);
    }
  }

  #end(entry: Entry, reason: Problem): void {
    if (entry.ended !== undefined) return;
    entry.ended = reason;
    this.#retire(entry);
    for (const listener of this.#endListeners) listener(entry.stream.sub, reason);
  }

  #retire(entry: Entry): void {
    this.#forget(entry);
    this.#matcher.tell({ kind: "remove", hash: entry.query.hash });
  }

  #forget(entry: Entry): void {
    if (this.#entries.get(entry.query.hash) !== entry) return;
    this.#entries.delete(entry.query.hash);
    for (const turn of this.#turns) turn.delete(entry);
    this.#bytes -= entry.bytes;
    if (this.#entries.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #cursorOf(query: StandingQuery): number {
    return this.#cursors.get(laneKeyOf(query)) ?? 0;
  }

  #moveCursor(key: string, cursor: number): void {
    this.#cursors.set(key, Math.max(this.#cursors.get(key) ?? 0, cursor));
  }
}

function dropped(): Problem {
  return new Problem("collection_not_found", "The collection was dropped.");
}

function laneKeyOf(query: StandingQuery): string {
  return laneKey({ collectionKey: query.collectionKey, kind: laneOf(query) });
}

function bytesOf(query: StandingQuery, { dimensions }: CollectionRow): number {
  const vector = laneOf(query) === "vectors" ? dimensions * DIMENSION_BYTES : 0;
  return QUERY_BYTES + vector + JSON.stringify(query).length * 2;
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}
