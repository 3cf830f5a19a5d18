/** A chunk and its BM25 score, higher is better. */
export interface KeywordMatch {
  key: number;
  score: number;
}

/** Places made at first; a greater k is rare and gets more as matches come. */
const PLACES = 64;

/** The k best of the matches it is given, best first, equal ones by key. A binary heap with the worst on top. */
export class BestMatches {
  readonly #k: number;
  #keys = new Float64Array(PLACES);
  #scores = new Float64Array(PLACES);
  #size = 0;

  constructor(k: number) {
    this.#k = k;
  }

  /** A match below this is of no use; 0 while there is room. */
  get threshold(): number {
    return this.#size < this.#k ? 0 : (this.#scores[0] ?? 0);
  }

  /** O(log k). */
  offer(key: number, score: number): void {
    if (this.#size < this.#k) {
      if (this.#size === this.#keys.length) {
        this.#keys = grown(this.#keys);
        this.#scores = grown(this.#scores);
      }
      rise({ keys: this.#keys, scores: this.#scores, size: this.#size++ }, key, score);
    } else if (this.#size > 0) {
      sink({ keys: this.#keys, scores: this.#scores, size: this.#size }, key, score);
    }
  }

  /** The matches, best first. */
  sorted(): KeywordMatch[] {
    const matches = Array.from({ length: this.#size }, (_, at) => {
      return { key: this.#keys[at] ?? 0, score: this.#scores[at] ?? 0 };
    });
    return matches.toSorted((a, b) => b.score - a.score || a.key - b.key);
  }
}

interface Heap {
  keys: Float64Array;
  scores: Float64Array;
  size: number;
}

/** Puts a match into the place past the last one and up from there. */
function rise({ keys, scores, size }: Heap, key: number, score: number): void {
  let at = size;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const [otherKey, other] = [keys[parent] ?? 0, scores[parent] ?? 0];
    if (other < score || (other === score && otherKey > key)) break;
    keys[at] = otherKey;
    scores[at] = other;
    at = parent;
  }
  keys[at] = key;
  scores[at] = score;
}

/** Puts a match in place of the worst and down from there, if it is better. */
function sink({ keys, scores, size }: Heap, key: number, score: number): void {
  const top = scores[0] ?? 0;
  if (top > score || (top === score && (keys[0] ?? 0) <= key)) return;
  let at = 0;
  for (let child = 1; child < size; child = 2 * at + 1) {
    let [worstKey, worst] = [keys[child] ?? 0, scores[child] ?? 0];
    const [otherKey, other] = [keys[child + 1] ?? 0, scores[child + 1] ?? 0];
    if (child + 1 < size && (other < worst || (other === worst && otherKey > worstKey))) {
      [worstKey, worst] = [otherKey, other];
      child++;
    }
    if (worst > score || (worst === score && worstKey < key)) break;
    keys[at] = worstKey;
    scores[at] = worst;
    at = child;
  }
  keys[at] = key;
  scores[at] = score;
}

function grown(places: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(places.length * 2);
  larger.set(places);
  return larger;
}
