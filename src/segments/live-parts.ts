import { RowSet } from "./row-set.ts";
import type { Frozen, Sealed } from "./sealed.ts";
import type { Delta, OpenSegment, Parts } from "./segment-kind.ts";

/** The parts of an index that serves: a key is live in one of them at most. */
export class LiveParts<Segment extends OpenSegment, D extends Delta> {
  sealed: Sealed<Segment>[];
  frozen: Frozen<D>[] = [];
  active: D;
  /** Rows of sealed segments that died since the owner of the parts set this to 0. */
  buried = 0;

  constructor(sealed: Sealed<Segment>[], active: D) {
    this.sealed = sealed;
    this.active = active;
  }

  /** What a search has to look at. Do not keep it. */
  view(): Parts<Segment, D> {
    return { sealed: this.sealed, frozen: this.frozen, active: this.active };
  }

  /** Live rows. */
  get size(): number {
    let sum = this.active.size;
    for (const { delta, dead } of this.frozen) sum += delta.size - dead.size;
    for (const { segment, dead } of this.sealed) sum += segment.rows - dead.size;
    return sum;
  }

  has(key: number): boolean {
    if (this.active.has(key)) return true;
    if (this.frozen.some(({ delta, dead }) => delta.has(key) && !dead.has(key))) return true;
    return this.sealed.some(({ segment, dead }) => {
      const row = segment.rowOf(key);
      return row >= 0 && !dead.has(row);
    });
  }

  /** True if the key was live. */
  remove(key: number): boolean {
    return this.removeFromMemory(key) || this.#bury(key);
  }

  /** As `remove`, in the deltas only. */
  removeFromMemory(key: number): boolean {
    if (this.active.remove(key)) return true;
    for (const { delta, dead } of this.frozen) {
      if (delta.has(key) && !dead.has(key)) {
        dead.add(key);
        return true;
      }
    }
    return false;
  }

  /** Puts the active delta aside and begins a new one. */
  freeze(sequence: number, next: D): void {
    this.frozen.push({ delta: this.active, dead: new Set(), sequence });
    this.active = next;
  }

  /**
   * Compares the sealed keys with the database's: `see` each that should be there, which tells whether it is; `finish`
   * makes those dead that were not seen.
   */
  reconcile(): { see: (key: number) => boolean; finish: () => number } {
    const seen = this.sealed.map(({ segment }) => new RowSet(segment.rows));
    return {
      see: (key) => {
        for (const [at, { segment, dead }] of this.sealed.entries()) {
          const row = segment.rowOf(key);
          if (row >= 0 && !dead.has(row)) return seen[at]?.add(row) ?? false;
        }
        return this.active.has(key);
      },
      finish: () => {
        let gone = 0;
        for (const [at, { segment, dead }] of this.sealed.entries()) {
          for (let row = 0; row < segment.rows; row++) {
            if (seen[at]?.has(row) === false && dead.add(row)) gone++;
          }
        }
        return gone;
      },
    };
  }

  /** Closes what is mapped and forgets what is in memory. */
  clear(empty: D): void {
    for (const { segment } of this.sealed) segment.close();
    this.sealed = [];
    this.frozen = [];
    this.active = empty;
  }

  #bury(key: number): boolean {
    for (const { segment, dead } of this.sealed) {
      const row = segment.rowOf(key);
      if (row >= 0 && dead.add(row)) {
        this.buried++;
        return true;
      }
    }
    return false;
  }
}
