import { join } from "node:path";
import { buildHere, type RunBuild } from "../../../src/segments/build.ts";
import { FollowedSet } from "../../../src/segments/followed-set.ts";
import { SegmentSet } from "../../../src/segments/segment-set.ts";
import { liveKeys, numberKind, type NumberDelta, type NumberSegment } from "./number-kind.ts";

export type Owner = SegmentSet<NumberSegment, NumberDelta>;
export type Follower = FollowedSet<NumberSegment, NumberDelta>;

const SIZES = { deltaRows: 10, deltaBytes: 1e9, fillMs: 0 };
const EXPECTED = { kind: numberKind(), epoch: "e", sequenceMax: Infinity };

/** Where a world's index is. */
export const folderOf = (folder: string): string => join(folder, "1", "numbers");

/** An owner over a folder; `log` gets what it has sealed. */
export function openOwner(
  folder: string,
  { run = buildHere(EXPECTED.kind), onSealed = () => {}, segmentRows = 200 }: OwnerOptions = {},
): Owner {
  const owner = new SegmentSet({
    ...EXPECTED,
    folder: folderOf(folder),
    run,
    sizes: { ...SIZES, segmentRows },
    onSealed,
  });
  owner.start();
  return owner;
}

interface OwnerOptions {
  run?: RunBuild;
  onSealed?: (sequence: number) => void;
  /** Rows past which a segment is merged no more. */
  segmentRows?: number;
}

/** Another process's view of the same folder. */
export function openFollower(folder: string, follower = 1): Follower {
  return new FollowedSet({ ...EXPECTED, folder: folderOf(folder), follower });
}

/** Live keys of a set, one for each part that has them. */
export const keysOf = (set: Owner | Follower): number[] => liveKeys(set.parts());

interface Entry {
  sequence: number;
  key: number;
  change: "added" | "removed";
}

/** What the database has: the live keys, and its log of changes, which is cut off where the owner has sealed. */
export class ChangeLog {
  #entries: Entry[] = [];
  #sequence = 0;
  #sealed = 0;
  trimmed = 0;
  readonly live = new Set<number>();

  /** Makes a change, which the owner follows at once. */
  insert(owner: Owner, key: number): void {
    this.live.add(key);
    owner.parts().active.add(key);
    this.#append(owner, { key, change: "added" });
  }

  remove(owner: Owner, key: number): void {
    this.live.delete(key);
    owner.remove(key);
    this.#append(owner, { key, change: "removed" });
  }

  readonly sealed = (sequence: number): void => {
    this.#sealed = sequence;
  };

  /** Cuts off what the owner's start would not need. */
  trim(): void {
    this.trimmed = this.#sealed;
    this.#entries = this.#entries.filter(({ sequence }) => sequence > this.trimmed);
  }

  readonly removedSince = async (after: number): Promise<number[] | undefined> => {
    if (this.trimmed > after) return undefined;
    return this.#entries
      .filter(({ sequence, change }) => sequence > after && change === "removed")
      .map(({ key }) => key);
  };

  /** Applies what a follower has not heard of yet, or the first `count` changes of it. */
  async follow(follower: Follower, count = Infinity): Promise<void> {
    if (this.trimmed > follower.sequence) await follower.refresh(this.removedSince);
    const news = this.#entries.filter(({ sequence }) => sequence > follower.sequence);
    for (const { key, change, sequence } of news.slice(0, count)) {
      // As the database, which gives no rows of keys that are gone.
      if (change === "removed") follower.remove(key);
      else if (this.live.has(key) && !follower.has(key)) follower.parts().active.add(key);
      follower.applied(sequence);
    }
  }

  #append(owner: Owner, change: Omit<Entry, "sequence">): void {
    this.#entries.push({ ...change, sequence: ++this.#sequence });
    owner.applied(this.#sequence);
  }
}
