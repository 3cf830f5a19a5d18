import { setImmediate as nextTurn } from "node:timers/promises";
import type { Analyser } from "../keyword/analyser.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { DocumentChange, StandingMatch, StandingUpdate } from "../store/standing-store.ts";
import type { StoreRead } from "../store/store.ts";
import { matchOne, type Match, type PreparedQuery } from "./prepare-query.ts";
import { openDocument, type QueryLane } from "./query-lane.ts";
import { laneOf, tellsLeave } from "./standing-query.ts";

/** Writes what is to be kept; `kept` is called with its ticket once it is committed. In order. */
export type KeepMatches = (ticket: number, update: StandingUpdate) => void;

/** Change numbers after which it is written down how far a query's rows are right, if nothing else is written. */
const SAVE_AFTER = 5000;
const PAGE_DOCUMENTS = 64;

interface KeptQuery {
  collectionKey: number;
  /** Up to where its rows are known to be right; undefined while they are being made. */
  savedAt: number | undefined;
}

/** A row on its way to the store. */
type Unsaved = Pick<StandingMatch, "inside" | "sequence"> & { ticket: number };

/** How a query's rows are brought up to date. */
export interface LeavePlan {
  /** Its rows are right up to this change; undefined where it has none. */
  from: number | undefined;
  knownFrom: number;
}

interface Scope {
  collectionKey: number;
  analyser: Analyser;
  /** Later changes are matched as they come. */
  upTo: number;
}

/**
 * Which documents match the queries that tell of those that match no longer. The rows are in the store, so that nothing is
 * forgotten by a restart; what is on its way there is remembered here.
 */
export class Leaves {
  readonly #store: StoreRead;
  readonly #keep: KeepMatches;
  readonly #queries = new Map<string, KeptQuery>();
  /** By document, then query: what is not committed yet, and with which ticket it will be. */
  readonly #unsaved = new Map<string, Map<string, Unsaved>>();
  readonly #batches = new Map<number, StandingMatch[]>();
  #ticket = 0;
  #keptTicket = 0;
  #waiting: { ticket: number; resolve: () => void }[] = [];

  constructor(store: StoreRead, keep: KeepMatches) {
    this.#store = store;
    this.#keep = keep;
  }

  /** Whether a query is among those that tell of leaving. */
  has(hash: string): boolean {
    return this.#queries.has(hash);
  }

  /** @throws Problem `limit_reached` where a collection or the server has no room for another query of this kind */
  async check(collectionKey: number): Promise<void> {
    if (this.#queries.size >= limits.standingLeaveQueriesMax) {
      throw new Problem(
        "limit_reached",
        `There are ${limits.standingLeaveQueriesMax} standing queries with "leave" already.`,
      );
    }
    const { documents } = await this.#store.counts(collectionKey);
    if (documents <= limits.standingScanDocumentsMax) return;
    throw new Problem(
      "limit_reached",
      `"leave" is for collections of at most ${limits.standingScanDocumentsMax} documents.`,
    );
  }

  /** To be called before the query is matched with anything; `from` is where that begins. */
  async begin(
    { hash }: Pick<PreparedQuery, "hash">,
    { collectionKey, from }: { collectionKey: number; from: number },
  ): Promise<LeavePlan> {
    this.#queries.set(hash, { collectionKey, savedAt: undefined });
    const state = await this.#store.standingState(hash);
    if (state !== undefined && state.sequence >= 0) {
      return { from: state.sequence, knownFrom: state.knownFrom };
    }
    const queries = [{ query: hash, sequence: -1, knownFrom: from }];
    this.#send({ collectionKey, matches: [], queries });
    return { from: undefined, knownFrom: from };
  }

  /** Brings a query's rows up to where it is matched with what comes. O(documents), or O(changes) where few came. */
  async finish(query: PreparedQuery, { from }: LeavePlan, scope: Scope): Promise<void> {
    const { collectionKey, upTo } = scope;
    if (from === undefined || (await this.#isFar(collectionKey, { after: from, upTo }))) {
      await this.#scan(query, scope);
    } else {
      await this.#catchUp(query, from, scope);
    }
    const kept = this.#queries.get(query.hash);
    if (kept === undefined) return;
    kept.savedAt = upTo;
    this.#send({ collectionKey, matches: [], queries: [{ query: query.hash, sequence: upTo }] });
    await this.saved();
  }

  /** It is matched no more; its rows stay, and are right up to the cursor. */
  remove(hash: string, cursor: number): void {
    const kept = this.#queries.get(hash);
    if (kept === undefined) return;
    this.#queries.delete(hash);
    if (kept.savedAt === undefined) return;
    const { collectionKey } = kept;
    this.#send({ collectionKey, matches: [], queries: [{ query: hash, sequence: cursor }] });
  }

  /** Notes what a change does to the matches of a lane; gives the queries that the document left. */
  async changed(
    lane: QueryLane,
    {
      collectionKey,
      change,
      matches,
    }: {
      collectionKey: number;
      change: DocumentChange;
      matches: readonly Match[];
    },
  ): Promise<PreparedQuery[]> {
    if (this.#queries.size === 0) return [];
    const { id, sequence } = change;
    const before = await this.#insideOf(collectionKey, change);
    const now = new Set(
      matches.filter(({ query }) => tellsLeave(query)).map(({ query }) => query.hash),
    );
    for (const query of now) {
      if (before.has(query)) continue;
      this.#note(collectionKey, { query, documentId: id, sequence, inside: true });
    }
    const left = [...before].flatMap((hash) => (now.has(hash) ? [] : (lane.get(hash) ?? [])));
    for (const { hash } of left) {
      this.#note(collectionKey, { query: hash, documentId: id, sequence, inside: false });
    }
    return left;
  }

  /** A lane has come to its cursor: what was noted is written. */
  async passed({
    collectionKey,
    lane,
    cursor,
  }: {
    collectionKey: number;
    lane: QueryLane;
    cursor: number;
  }): Promise<void> {
    if (this.#queries.size === 0) return;
    const matches = this.#batches.get(collectionKey) ?? [];
    this.#batches.delete(collectionKey);
    const touched = new Set(matches.map(({ query }) => query));
    const queries: { query: string; sequence: number }[] = [];
    let late = false;
    for (const [hash, kept] of this.#queries) {
      if (kept.savedAt === undefined || lane.get(hash) === undefined) continue;
      const isLate = cursor - kept.savedAt >= SAVE_AFTER;
      if (!touched.has(hash) && !isLate) continue;
      kept.savedAt = cursor;
      late ||= isLate;
      queries.push({ query: hash, sequence: cursor });
    }
    if (matches.length === 0 && queries.length === 0) return;
    const forgetUpTo = late
      ? await this.#store.changeBefore(collectionKey, limits.standingChangesMax)
      : 0;
    this.#send({ collectionKey, matches, queries, ...(late ? { forgetUpTo } : {}) });
  }

  /** Resolves when all that was sent so far is committed. */
  async saved(): Promise<void> {
    if (this.#keptTicket >= this.#ticket) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ ticket: this.#ticket, resolve });
    await promise;
  }

  kept(ticket: number): void {
    this.#keptTicket = ticket;
    for (const [document, queries] of this.#unsaved) {
      for (const [query, row] of queries) if (row.ticket <= ticket) queries.delete(query);
      if (queries.size === 0) this.#unsaved.delete(document);
    }
    for (const waiting of this.#waiting) if (waiting.ticket <= ticket) waiting.resolve();
    this.#waiting = this.#waiting.filter((waiting) => waiting.ticket > ticket);
  }

  /** Sends what was noted of a collection on its way to the store. */
  flush(collectionKey: number): void {
    const matches = this.#batches.get(collectionKey) ?? [];
    this.#batches.delete(collectionKey);
    if (matches.length > 0) this.#send({ collectionKey, matches, queries: [] });
  }

  async #isFar(
    collectionKey: number,
    { after, upTo }: { after: number; upTo: number },
  ): Promise<boolean> {
    const limit = limits.standingChangesMax + 1;
    return (await this.#store.countChanges(collectionKey, { after, upTo, limit })) === limit;
  }

  /** Every document of the collection, and those that are gone. */
  async #scan(query: PreparedQuery, { collectionKey, analyser, upTo }: Scope): Promise<void> {
    for (let after: string | undefined = ""; after !== undefined;) {
      const options = { after, limit: PAGE_DOCUMENTS, vectors: laneOf(query) === "vectors" };
      const page = await this.#store.documentContents(collectionKey, options);
      for (const change of page.documents) {
        if (change.sequence <= upTo) await this.#settle(query, change, { collectionKey, analyser });
      }
      this.flush(collectionKey);
      after = page.last;
      await nextTurn();
    }
    for (const gone of await this.#store.standingGone(query.hash, { upTo })) {
      this.#note(collectionKey, { query: query.hash, ...gone, inside: false });
    }
    this.flush(collectionKey);
  }

  /** What changed since its rows were right. */
  async #catchUp(
    query: PreparedQuery,
    from: number,
    { collectionKey, analyser, upTo }: Scope,
  ): Promise<void> {
    const vectors = laneOf(query) === "vectors";
    for (let after = from; after < upTo;) {
      const range = { after, upTo, limit: PAGE_DOCUMENTS, vectors };
      const page = await this.#store.changedDocuments(collectionKey, range);
      for (const change of page.changes) {
        await this.#settle(query, change, { collectionKey, analyser });
      }
      this.flush(collectionKey);
      if (page.done) return;
      after = page.upTo;
      await nextTurn();
    }
  }

  /** Brings one row up to date with a document. */
  async #settle(
    query: PreparedQuery,
    change: DocumentChange,
    { collectionKey, analyser }: Omit<Scope, "upTo">,
  ): Promise<void> {
    const { id, sequence, document } = change;
    const opened = document === undefined ? undefined : openDocument(document, analyser);
    const inside = opened !== undefined && matchOne(query, opened) !== undefined;
    const before = await this.#insideOf(collectionKey, change);
    if (inside === before.has(query.hash)) return;
    this.#note(collectionKey, { query: query.hash, documentId: id, sequence, inside });
  }

  /**
   * Queries that a document matched before a change. What it left with that very change is among them: a matcher that was
   * lost may have written that down and told nobody.
   */
  async #insideOf(
    collectionKey: number,
    { id, sequence }: Pick<DocumentChange, "id" | "sequence">,
  ): Promise<Set<string>> {
    const inside = new Set(await this.#store.standingInside(collectionKey, id, sequence));
    for (const [query, row] of this.#unsaved.get(keyOf(collectionKey, id)) ?? []) {
      if (row.inside || row.sequence === sequence) inside.add(query);
      else inside.delete(query);
    }
    return inside;
  }

  #note(collectionKey: number, match: StandingMatch): void {
    const batch = this.#batches.get(collectionKey);
    if (batch === undefined) this.#batches.set(collectionKey, [match]);
    else batch.push(match);
    const key = keyOf(collectionKey, match.documentId);
    const unsaved = this.#unsaved.get(key) ?? new Map<string, Unsaved>();
    const { inside, sequence } = match;
    unsaved.set(match.query, { inside, sequence, ticket: Infinity });
    this.#unsaved.set(key, unsaved);
  }

  #send(update: StandingUpdate): void {
    const ticket = ++this.#ticket;
    for (const { documentId, query } of update.matches) {
      const row = this.#unsaved.get(keyOf(update.collectionKey, documentId))?.get(query);
      if (row !== undefined) row.ticket = ticket;
    }
    this.#keep(ticket, update);
  }
}

function keyOf(collectionKey: number, documentId: string): string {
  return `${collectionKey}:${documentId}`;
}
