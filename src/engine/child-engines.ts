import type { CollectionRow, Store } from "../store/store.ts";
import { outsideRequests } from "../telemetry/logs.ts";
import { BackgroundPool } from "./background-pool.ts";
import type { EmbedArgs, EngineAnswer, EngineRequest, PrepareArgs } from "./calls.ts";
import type { IndexCheck } from "./check-index.ts";
import type { IndexReport } from "./collection-index.ts";
import { hasSameWeights } from "./engine.ts";
import { countedEmbed } from "./embedding-numbers.ts";
import { embedOrGiveUp } from "./embed-or-give-up.ts";
import { observePool } from "./engine-numbers.ts";
import { EnginePool } from "./engine-pool.ts";
import { trimmer, type Engines } from "./engines.ts";
import { Passages, type EmbedBatch } from "./passages.ts";

export interface ChildEnginesOptions {
  /** Query engines; the first owns the index files. */
  count: number;
  /** What the query engine of a number is given at its start, or a promise of it. */
  startQuery: (number: number) => unknown;
  /** What a background engine is given at its start. */
  startBackground: unknown;
  /** Longest time for a request. */
  requestMsMax: number;
  /** Told of collections whose index files the owner has replaced. */
  onSealed?: (collectionKey: number) => void;
}

/** How long the owner's word that there is room for writes is believed. */
const roomMs = 100;

/** Between two messages that collections have changed. */
const tellMs = 20;

/** Texts that a query engine prepares; more of them go to the background. */
const smallChars = 16_384;

/** Engines in children of this process: some for queries, and some, when there is work, for documents. */
export interface ChildEngines extends Engines {
  /** Answers a request as the server would. `background`: behind all others, in another process. */
  answer(request: EngineRequest, options?: { background?: boolean }): Promise<EngineAnswer>;
  /** Whether no query engine has anything to do. */
  isIdle(): boolean;
  /** Checks documents and cuts them into chunks, as the features do. */
  prepare<Result>(args: PrepareArgs): Promise<Result>;
  embedTexts(args: EmbedArgs): Promise<{ vectors: (Float32Array | undefined)[]; tokens: number }>;
}

/** Starts the children. `opened` resolves when all serve. */
export function startChildEngines(options: ChildEnginesOptions) {
  const { count, startQuery, startBackground, requestMsMax } = options;
  // Nothing is sealed before the store is open.
  let trim: ReturnType<typeof trimmer> | undefined;
  const pool = new EnginePool({
    count,
    start: startQuery,
    onSealed(collectionKey, sequence) {
      trim?.(collectionKey, sequence);
      options.onSealed?.(collectionKey);
    },
  });
  const background = new BackgroundPool({ count, start: startBackground });
  return {
    async open(store: Store): Promise<ChildEngines> {
      trim = trimmer(store);
      const lanes = { lanes: count, accepts: hasSameWeights };
      const embed = countedEmbed(embedBy(background));
      const passages = new Passages(store, embed, lanes);
      const hear = tellSoon((collectionKeys) => pool.tell("hear", collectionKeys));
      store.onCommit((commit) => {
        hear(commit.collectionKey);
        passages.apply(commit);
      });
      await pool.opened();
      passages.start();
      const numbers = observePool(pool, count);
      return {
        ...remoteOwner(pool, requestMsMax),
        embedTexts: (args) => background.call("embedTexts", args),
        embedPassages: (passage) => embedOrGiveUp(embed, passage),
        caughtUp: (signal) => passages.caughtUp(signal),
        forgetCollections: () => {
          pool.tell("forgetCollections", undefined);
          passages.start();
        },
        states: () => pool.states(),
        isIdle: () => pool.isIdle,
        embeddingFails: () => passages.failing,
        answer: (request, { background: behind = false } = {}) =>
          behind
            ? background.call("request", request)
            : pool.call("request", request, {
                deadlineMs: requestMsMax,
                lastArgs: { ...request, degraded: true },
              }),
        prepare: (args) =>
          isSmall(args.inputs)
            ? pool.call("prepare", args, { background: true })
            : background.call("prepare", args),
        async [Symbol.asyncDispose]() {
          numbers[Symbol.dispose]();
          // Children first: the passages' loop may be waiting for one, and what it had is still marked as waiting in the store.
          const stopping = passages[Symbol.asyncDispose]();
          await background[Symbol.asyncDispose]();
          await stopping;
          await pool[Symbol.asyncDispose]();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await background[Symbol.asyncDispose]();
      await pool[Symbol.asyncDispose]();
    },
  };
}

function remoteOwner(pool: EnginePool, requestMsMax: number) {
  const roomy = new Map<number, number>();
  /** Questions for room that are under way: all writers of a collection find the word too old at the same moment. */
  const asking = new Map<number, Promise<void>>();
  const ask = <Result>(name: string, args: unknown): Promise<Result> =>
    pool.call(name, args, { engine: 0 });
  // Writes wait for it, and would for ever behind an owner that hangs.
  const askSoon = <Result>(name: string, args: unknown): Promise<Result> =>
    pool.call(name, args, { engine: 0, deadlineMs: requestMsMax });
  const askForRoom = (collectionKey: number): Promise<void> => {
    const answer = askSoon("room", collectionKey)
      .then(() => void roomy.set(collectionKey, performance.now()))
      .finally(() => asking.delete(collectionKey));
    asking.set(collectionKey, answer);
    return answer;
  };
  return {
    async openCollection(collection: CollectionRow): Promise<void> {
      pool.tell("openCollection", collection, { owner: false });
      await ask("openCollection", collection);
    },
    async dropCollection(collectionKey: number): Promise<void> {
      roomy.delete(collectionKey);
      pool.tell("dropCollection", collectionKey, { owner: false });
      await ask("dropCollection", collectionKey);
    },
    async room(collectionKey: number): Promise<void> {
      const now = performance.now();
      if (now - (roomy.get(collectionKey) ?? -Infinity) < roomMs) return;
      await (asking.get(collectionKey) ?? askForRoom(collectionKey));
    },
    report: (collectionKey: number) => askSoon<IndexReport | undefined>("report", collectionKey),
    reports: () => askSoon<IndexReport[]>("reports", undefined),
    compact: (collectionKey: number) => ask<void>("compact", collectionKey),
    async rebuild(collection: CollectionRow): Promise<void> {
      await ask("rebuild", collection);
      // They have the old files open, which are gone.
      pool.tell("rebuild", collection, { owner: false });
    },
    check: (collection: CollectionRow) => ask<IndexCheck | undefined>("check", collection),
  };
}

function embedBy(background: BackgroundPool): EmbedBatch {
  return (model, texts) => background.call("embed", { model, texts: [...texts] });
}

/** Tells of changed collections a few times a second: engines read what is committed before they search anyway. */
function tellSoon(tell: (collectionKeys: number[]) => void): (collectionKey: number) => void {
  const changed = new Set<number>();
  return (collectionKey) => {
    if (changed.size === 0) {
      outsideRequests(() =>
        setTimeout(() => {
          tell([...changed]);
          changed.clear();
        }, tellMs).unref(),
      );
    }
    changed.add(collectionKey);
  };
}

function isSmall(inputs: readonly unknown[]): boolean {
  let characters = 0;
  for (const input of inputs) {
    const text = typeof input === "object" && input !== null && "text" in input ? input.text : "";
    characters += typeof text === "string" ? text.length : 0;
    if (characters > smallChars) return false;
  }
  return true;
}
