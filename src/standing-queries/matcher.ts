import { setImmediate as nextTurn } from "node:timers/promises";
import { createAnalyser, type Analyser } from "../keyword/analyser.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { DocumentChange } from "../store/standing-store.ts";
import type { StoreRead } from "../store/store.ts";
import { Leaves, type KeepMatches } from "./leaves.ts";
import { createMatchData, leaveFrame, matchFrame } from "./match-frames.ts";
import type {
  AddedQuery,
  AddQuery,
  CountChanges,
  MatcherCalls,
  ReadMatches,
  ReadPage,
  ToldMatch,
} from "./matcher-messages.ts";
import { prepareQuery } from "./prepare-query.ts";
import { createQueryLane, type QueryLane } from "./query-lane.ts";
import { readReplay } from "./read-replay.ts";
import { RecentDocuments } from "./recent-documents.ts";
import { createSerial, type Serial } from "./serial.ts";
import { laneKey, laneOf, tellsLeave, type LaneKind } from "./standing-query.ts";

const LANES: readonly LaneKind[] = ["words", "vectors"];
/** Documents matched between two looks at what else there is to do. */
const PAGE_DOCUMENTS = 64;
/** Documents remembered by a lane that is behind: past it one that was replaced unseen is told of as an update. */
const SEEN_MAX = 50_000;
/** Matches are sent on before they are as many characters, of a page that is not done. */
const TOLD_CHARACTERS = 256 * 1024;

export interface MatcherOptions {
  /** Resolves when the matches are on their way, or at once while few are. */
  tell: (told: ToldPage) => Promise<void>;
  keep: KeepMatches;
  /** Lanes, by `laneKey`, in which nothing is matched before `go`. */
  held?: readonly string[];
  /** It cannot go on. */
  onFailed: (error: unknown) => void;
}

export interface ToldPage {
  collectionKey: number;
  lane: LaneKind;
  matches: ToldMatch[];
  cursor: number;
  characters: number;
}

/** A collection's queries of one kind, and how far its changes have been matched with them. */
interface Following {
  collectionKey: number;
  kind: LaneKind;
  analyser: Analyser;
  lane: QueryLane;
  cursor: number;
  /** Documents inserted up to this change were matched since, and of later ones these, with that change. */
  seenUpTo: number;
  seen: Map<string, number>;
  /** Pages, and queries that come in, one after the other. */
  serial: Serial;
  /** Something was committed since it last looked. */
  heard: boolean;
  running: boolean;
}

/**
 * Matches changed documents with standing queries: strictly in the order of the changes, keyword queries at once, the others
 * when a document has its vectors and never past one that still waits for its own. It reads the store and writes nothing.
 */
export class Matcher implements MatcherCalls {
  readonly #store: StoreRead;
  readonly #options: MatcherOptions;
  readonly #followings = new Map<string, Following>();
  readonly #byHash = new Map<string, Following>();
  readonly #leaves: Leaves;
  readonly #recent: RecentDocuments;
  readonly #reads = createSerial();
  #closed = false;
  /** Lanes whose queries are being brought back, which all have to be there before the next change is matched. */
  readonly #held: Set<string>;

  constructor(store: StoreRead, options: MatcherOptions) {
    this.#store = store;
    this.#options = options;
    this.#leaves = new Leaves(store, options.keep);
    this.#recent = new RecentDocuments(store);
    this.#held = new Set(options.held);
  }

  /** @throws Problem `empty_text`, `invalid_filter`, `limit_reached`, `collection_not_found` */
  async add({ query, vector, collection, cursor }: AddQuery): Promise<AddedQuery> {
    const { keyword, key: collectionKey } = collection;
    const analyser = await createAnalyser(keyword.language);
    const prepared = prepareQuery(query, vector, { analyser, keyword });
    if (tellsLeave(query)) await this.#leaves.check(collectionKey);
    const following = this.#following(laneOf(query), collection, analyser);
    const { from, plan } = await following.serial(async () => {
      if (following.lane.size === 0) {
        following.lane = laneFor(following.kind, collection);
        following.cursor = cursor ?? (await this.#start(following));
        sawAll(following);
      }
      const begun = { from: following.cursor, collectionKey };
      const leavePlan = tellsLeave(query) ? await this.#leaves.begin(query, begun) : undefined;
      following.lane.add(prepared);
      this.#byHash.set(query.hash, following);
      return { from: following.cursor, plan: leavePlan };
    });
    // What was committed meanwhile was heard while nobody listened.
    this.#follow(following);
    if (plan === undefined) return { cursor: from, knownFrom: 0 };
    await this.#leaves.finish(prepared, plan, { collectionKey, analyser, upTo: from });
    return { cursor: from, knownFrom: plan.knownFrom };
  }

  remove(hash: string): void {
    const following = this.#byHash.get(hash);
    if (following === undefined) return;
    this.#byHash.delete(hash);
    void following.serial(async () => {
      following.lane.remove(hash);
      this.#leaves.remove(hash, following.cursor);
    });
  }

  /** Matches what changed while a lane was held. */
  go(lane: string): void {
    this.#held.delete(lane);
    const following = this.#followings.get(lane);
    if (following !== undefined) this.#follow(following);
  }

  /** Something was committed in a collection. */
  hear(collectionKey: number): void {
    for (const kind of LANES) {
      const following = this.#followings.get(laneKey({ collectionKey, kind }));
      if (following !== undefined) this.#follow(following);
    }
  }

  async countChanges({ hash, after, upTo }: CountChanges): Promise<number> {
    const { collectionKey } = this.#find(hash);
    const limit = limits.standingChangesMax + 1;
    return this.#store.countChanges(collectionKey, { after, upTo, limit });
  }

  /** A page of a query's past. Replays take turns, and let what is new go first. */
  async read(range: ReadMatches): Promise<ReadPage> {
    // What left is read from the store. Waiting for that is not a turn: on a full disk the others would wait too.
    if (this.#leaves.has(range.hash)) await this.#leaves.saved();
    return this.#reads(async () => {
      await nextTurn();
      const { collectionKey, kind, lane, analyser } = this.#find(range.hash);
      const query = lane.get(range.hash);
      if (query === undefined) throw gone();
      const source = { collectionKey, vectors: kind === "vectors", analyser };
      const from = { store: this.#store, recent: this.#recent };
      return readReplay(from, { ...source, query }, range);
    });
  }

  /** What was to be kept is committed. */
  kept(ticket: number): void {
    this.#leaves.kept(ticket);
  }

  /** Nothing more is begun; resolves when what was has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    const followings = [...this.#followings.values()];
    await Promise.all([
      ...followings.map(({ serial }) => serial(async () => {})),
      this.#reads(async () => {}),
    ]);
  }

  #find(hash: string): Following {
    const following = this.#byHash.get(hash);
    if (following === undefined) throw gone();
    return following;
  }

  /** The lane of a collection's queries of a kind. */
  #following(kind: LaneKind, collection: AddQuery["collection"], analyser: Analyser): Following {
    const { key: collectionKey } = collection;
    const known = this.#followings.get(laneKey({ collectionKey, kind }));
    if (known !== undefined) return known;
    const following: Following = {
      collectionKey,
      kind,
      analyser,
      lane: laneFor(kind, collection),
      cursor: 0,
      seenUpTo: 0,
      seen: new Map(),
      serial: createSerial(),
      heard: false,
      running: false,
    };
    this.#followings.set(laneKey(following), following);
    return following;
  }

  /** Where a lane begins: after what is committed, or before the first document that waits for its vectors. */
  async #start({ collectionKey, kind }: Following): Promise<number> {
    return kind === "words" ? this.#store.sequence : this.#store.embeddedUpTo(collectionKey);
  }

  #follow(following: Following): void {
    following.heard = true;
    if (following.running || following.lane.size === 0 || this.#held.has(laneKey(following))) {
      return;
    }
    following.running = true;
    this.#followAll(following)
      .catch((error: unknown) => this.#fail(following, error))
      .finally(() => (following.running = false));
  }

  async #followAll(following: Following): Promise<void> {
    while (following.heard && !this.#closed) {
      following.heard = false;
      for (let done = false; !done && !this.#closed;) {
        done = await following.serial(() => this.#matchPage(following));
        if (!done) await nextTurn();
      }
    }
  }

  #fail(following: Following, error: unknown): void {
    if (error instanceof Problem && error.code === "collection_not_found") {
      // What was dropped has no changes any more; its streams are quiet until they are let go of.
      this.#followings.delete(laneKey(following));
      return;
    }
    this.#options.onFailed(error);
  }

  /** True when there is nothing more for now. */
  async #matchPage(following: Following): Promise<boolean> {
    const { collectionKey, kind, cursor: after } = following;
    const page = await this.#store.changedDocuments(collectionKey, {
      after,
      limit: PAGE_DOCUMENTS,
      vectors: kind === "vectors",
    });
    if (page.upTo <= after) return page.done;
    const told = this.#page(following);
    for (const change of page.changes) await this.#matchChange(following, change, told);
    following.cursor = page.upTo;
    if ((page.done && !page.waits) || following.seen.size > SEEN_MAX) sawAll(following);
    await this.#leaves.passed(following);
    await this.#tell(told, page.upTo);
    return page.done;
  }

  async #matchChange(
    { collectionKey, kind, lane, analyser, seenUpTo, seen }: Following,
    change: DocumentChange,
    told: ToldPage,
  ): Promise<void> {
    const { id, sequence, inserted } = change;
    const source = { collectionKey, vectors: kind === "vectors", analyser };
    const opened = this.#recent.open(source, change);
    const matches = opened === undefined ? [] : lane.match(opened);
    const data = opened === undefined ? undefined : createMatchData(opened);
    // A change that was replaced before it was matched was told to nobody.
    const event = inserted > seenUpTo && seen.get(id) !== inserted ? "insert" : "update";
    if (inserted > seenUpTo) seen.set(id, inserted);
    for (const match of matches) {
      if (data === undefined || !match.query.on.includes(event)) continue;
      const frame = { documentId: id, sequence, event, replay: false } as const;
      const { hash } = match.query;
      const text = matchFrame({ ...frame, hash, score: match.score, data: data.of(match) });
      await this.#tellMatch(told, { hash, offset: sequence, frame: text });
    }
    const left = await this.#leaves.changed(lane, { collectionKey, change, matches });
    for (const { hash } of left) {
      await this.#tellMatch(told, { hash, offset: sequence, frame: leaveFrame(hash, change) });
    }
  }

  #page({ collectionKey, kind, cursor }: Following): ToldPage {
    return { collectionKey, lane: kind, matches: [], cursor, characters: 0 };
  }

  async #tellMatch(told: ToldPage, match: ToldMatch): Promise<void> {
    told.matches.push(match);
    told.characters += match.frame.length;
    // All before this change is told, and of this one a part.
    if (told.characters >= TOLD_CHARACTERS) await this.#tell(told, match.offset - 1);
  }

  async #tell(told: ToldPage, cursor: number): Promise<void> {
    const { collectionKey, matches, characters } = told;
    // Who resumes from here on has to find what is told now.
    this.#leaves.flush(collectionKey);
    told.matches = [];
    told.characters = 0;
    await this.#options.tell({ ...told, matches, characters, cursor });
  }
}

/** From here on, who was inserted before was seen. */
function sawAll(following: Following): void {
  following.seenUpTo = following.cursor;
  following.seen.clear();
}

function laneFor(kind: LaneKind, { dimensions }: { dimensions: number }): QueryLane {
  return createQueryLane(kind === "vectors" ? dimensions : undefined);
}

function gone(): Problem {
  return new Problem("engine_lost", "The query is not being matched now; subscribe again.", {
    retryAfterMs: 1000,
  });
}
