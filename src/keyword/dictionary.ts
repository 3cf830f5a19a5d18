import { createEditDistance } from "./edit-distance.ts";
import { MostFrequent } from "./most-frequent.ts";
import type { NearWord, WordCount } from "./posting-list.ts";
import { damaged } from "./segment-file.ts";

/** The sorted words of a sealed segment. */
export interface Dictionary {
  readonly terms: number;
  /** Place of a word, -1 where it is unknown. O(log terms). */
  find(form: string): number;
  count(term: number): number;
  /** A word's UTF-8, part of the file. */
  bytesAt(term: number): Uint8Array;
  beginning(letters: string, max: number): WordCount[];
  near(letters: string, distanceMax: number): NearWord[];
}

/** A dictionary over sections of a mapped file; see `SECTIONS`. */
export function openDictionary({
  bytes,
  offsets,
  counts,
}: {
  bytes: Uint8Array;
  offsets: Uint32Array;
  counts: Uint32Array;
}): Dictionary {
  const terms = counts.length;
  const bounds = (term: number): [number, number] => {
    const start = offsets[term] ?? Infinity;
    const end = offsets[term + 1] ?? 0;
    if (!(start <= end && end <= bytes.length)) throw damaged("a word lies outside the dictionary");
    return [start, end];
  };
  const compareAt = (term: number, word: Uint8Array): number => {
    const [start, end] = bounds(term);
    const length = Math.min(end - start, word.length);
    for (let i = 0; i < length; i++) {
      const difference = (bytes[start + i] ?? 0) - (word[i] ?? 0);
      if (difference !== 0) return difference;
    }
    return end - start - word.length;
  };
  /** The first word that is not below the given one. */
  const lowerBound = (word: Uint8Array): number => {
    let low = 0;
    let high = terms;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareAt(middle, word) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const bytesAt = (term: number): Uint8Array => bytes.subarray(...bounds(term));
  const formAt = (term: number): string => Buffer.from(bytesAt(term)).toString();
  const range = (letters: string): [number, number] => {
    const first = Buffer.from(letters);
    // No byte of UTF-8 is 0xff, so this is above every word that begins so.
    return [lowerBound(first), lowerBound(Buffer.concat([first, Uint8Array.of(0xff)]))];
  };
  return {
    terms,
    bytesAt,
    count: (term) => counts[term] ?? 0,
    find(form) {
      const word = Buffer.from(form);
      const term = lowerBound(word);
      return term < terms && compareAt(term, word) === 0 ? term : -1;
    },
    beginning(letters, max) {
      const [from, to] = range(letters);
      const most = new MostFrequent(max);
      for (let term = from; term < to; term++) most.offer(term, counts[term] ?? 0);
      return most.places().map((term) => ({ form: formAt(term), count: counts[term] ?? 0 }));
    },
    near(letters, distanceMax) {
      const words = { bytes, bounds, range: range(firstLetter(letters)) };
      return nearTerms(words, letters, distanceMax).map(({ term, distance }) => {
        return { form: formAt(term), count: counts[term] ?? 0, distance };
      });
    },
  };
}

function nearTerms(
  words: {
    bytes: Uint8Array;
    bounds: (term: number) => [number, number];
    range: [number, number];
  },
  letters: string,
  distanceMax: number,
): { term: number; distance: number }[] {
  const { measure, pointsMax } = createEditDistance(letters, distanceMax);
  const points = new Uint32Array(pointsMax + 1);
  const found: { term: number; distance: number }[] = [];
  const [from, to] = words.range;
  for (let term = from; term < to; term++) {
    const [start, end] = words.bounds(term);
    const distance = measure(points, decodePoints(points, words.bytes, { start, end }));
    if (distance <= distanceMax) found.push({ term, distance });
  }
  return found;
}

/** The first code point of a word. */
export function firstLetter(word: string): string {
  return word === "" ? "" : String.fromCodePoint(word.codePointAt(0) ?? 0);
}

/** Decodes UTF-8 until `points` is full and gives the count of code points. */
function decodePoints(
  points: Uint32Array,
  bytes: Uint8Array,
  { start, end }: { start: number; end: number },
): number {
  let count = 0;
  for (let at = start; at < end && count < points.length;) {
    const lead = bytes[at++] ?? 0;
    const more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    let point = more === 0 ? lead : lead & (0x3f >> more);
    for (let i = 0; i < more && at < end; i++) point = (point << 6) | ((bytes[at++] ?? 0) & 0x3f);
    points[count++] = point;
  }
  return count;
}
