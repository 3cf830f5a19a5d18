import { limits } from "../limits.ts";

/** What a key was used for. */
interface Use {
  offset: number;
  atMs: number;
}

/** Keys of publications in rooms without a past, known in memory for a while; past a number of them the oldest are forgotten. */
export class UnstoredKeys {
  /** In the order of their uses. */
  readonly #uses = new Map<string, Use>();

  /** What the key was used for lately in this room. */
  find(epoch: string, key: string, nowMs: number): Use | undefined {
    const use = this.#uses.get(`${epoch} ${key}`);
    return use !== undefined && use.atMs > nowMs - limits.publicationKeyMs ? use : undefined;
  }

  add(epoch: string, key: string, use: Use): void {
    const name = `${epoch} ${key}`;
    this.#uses.delete(name);
    this.#uses.set(name, use);
    for (const [oldest, { atMs }] of this.#uses) {
      const isOld = atMs <= use.atMs - limits.publicationKeyMs;
      if (!isOld && this.#uses.size <= limits.unstoredKeysMax) break;
      this.#uses.delete(oldest);
    }
  }
}
