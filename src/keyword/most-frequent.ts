/** The places with the greatest counts of those it is given, equal ones by the order they came in. */
export class MostFrequent {
  readonly #max: number;
  readonly #kept: { place: number; count: number }[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** O(max) for one that is kept, O(1) for others, which are by far the most. */
  offer(place: number, count: number): void {
    const kept = this.#kept;
    if (kept.length >= this.#max) {
      if (count <= (kept.at(-1)?.count ?? Infinity)) return;
      kept.pop();
    }
    let at = kept.length;
    while (at > 0 && (kept[at - 1]?.count ?? 0) < count) at--;
    kept.splice(at, 0, { place, count });
  }

  /** The most frequent first. */
  places(): number[] {
    return this.#kept.map(({ place }) => place);
  }
}
