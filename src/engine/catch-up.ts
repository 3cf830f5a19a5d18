import { limits } from "../limits.ts";
import type { SegmentSet } from "../segments/segment-set.ts";
import type { Delta, OpenSegment } from "../segments/segment-kind.ts";
import type { IndexChange, StoreRead } from "../store/store.ts";

/** What an index takes out of the store. */
export interface Feed<Row extends { key: number }> {
  what: "text" | "vector";
  /** Rows of chunks; those that are gone are left out. */
  load: (store: StoreRead, chunkKeys: readonly number[]) => Promise<Row[]>;
  add: (row: Row) => void;
}

/** What of a set of segments is needed to follow the store. */
export type Following = Pick<
  SegmentSet<OpenSegment, Delta>,
  "sequence" | "incomplete" | "has" | "remove" | "applied" | "start" | "reconcile"
>;

interface CatchUp<Row extends { key: number }> {
  store: StoreRead;
  collectionKey: number;
  set: Following;
  feed: Feed<Row>;
  /** True once the index is closed: the rest is for its next life. */
  stopped: () => boolean;
}

/** How an index came to be in step. */
export interface CaughtUp {
  /** Log entries replayed; -1 where the index was compared with the whole store. */
  replayed: number;
  added: number;
  removed: number;
}

/**
 * Brings an index in step with the store: what was logged after its last sealed change is replayed, or, where the log
 * does not reach back so far or a segment was lost, its keys are compared with the store's.
 */
export async function catchUp<Row extends { key: number }>(
  options: CatchUp<Row>,
): Promise<CaughtUp> {
  const { store, collectionKey, set } = options;
  const { trimmed } = await store.indexState(collectionKey);
  const isWhole = !set.incomplete && set.sequence >= trimmed;
  const done = isWhole ? await replay(options, set.sequence) : await reconcile(options);
  if (!options.stopped()) set.start();
  return done;
}

async function replay<Row extends { key: number }>(
  { store, collectionKey, set, feed, stopped }: CatchUp<Row>,
  from: number,
): Promise<CaughtUp> {
  const done: CaughtUp = { replayed: 0, added: 0, removed: 0 };
  for (let after = from; !stopped(); await new Promise(setImmediate)) {
    const changes = await store.indexLog(collectionKey, { after, limit: limits.indexReadMax });
    const last = changes.at(-1);
    // What the owner of the files has cut off meanwhile is in its manifest, which is taken over next.
    if (last === undefined || (await hasGap({ store, collectionKey, after }, changes))) return done;
    const added = changes.filter(({ change }) => change === feed.what);
    done.added += await addMissing(
      { store, set, feed },
      added.map(({ chunkKey }) => chunkKey),
    );
    for (const { change, chunkKey } of changes) {
      if (change === "removed" && set.remove(chunkKey)) done.removed++;
    }
    set.applied(last.sequence);
    done.replayed += changes.length;
    after = last.sequence;
  }
  return done;
}

/**
 * Whether log entries between a number and what was read after it are missing: the owner of the files may seal, and have
 * the log cut off, at any moment.
 */
export async function hasGap(
  { store, collectionKey, after }: { store: StoreRead; collectionKey: number; after: number },
  [first]: readonly IndexChange[],
): Promise<boolean> {
  if (first?.sequence === after + 1) return false;
  return (await store.indexState(collectionKey)).trimmed > after;
}

async function reconcile<Row extends { key: number }>(options: CatchUp<Row>): Promise<CaughtUp> {
  const { store, collectionKey, set, feed, stopped } = options;
  const { sequence } = await store.indexState(collectionKey);
  const comparison = set.reconcile();
  let added = 0;
  // Requests go first between two pages.
  for (let after = 0; !stopped(); await new Promise(setImmediate)) {
    const page = { what: feed.what, after, limit: limits.indexReadMax };
    const keys = await store.indexedKeys(collectionKey, page);
    const last = keys.at(-1);
    if (last === undefined) break;
    const missing = keys.filter((key) => !comparison.see(key));
    added += await addMissing({ store, set, feed }, missing);
    after = last;
  }
  if (stopped()) return { replayed: -1, added, removed: 0 };
  const removed = comparison.finish();
  set.applied(sequence);
  // A chunk may have been removed after it was read and before it was added.
  const since = await replay(options, sequence);
  return { replayed: -1, added: added + since.added, removed: removed + since.removed };
}

async function addMissing<Row extends { key: number }>(
  { store, set, feed }: Pick<CatchUp<Row>, "store" | "set" | "feed">,
  keys: readonly number[],
): Promise<number> {
  let added = 0;
  for (const row of keys.length === 0 ? [] : await feed.load(store, keys)) {
    if (set.has(row.key)) continue;
    feed.add(row);
    added++;
  }
  return added;
}
