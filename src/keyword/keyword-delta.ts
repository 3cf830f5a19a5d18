import type { Delta, SegmentFiles, Steps } from "../segments/segment-kind.ts";
import type { Analyser } from "./analyser.ts";
import { firstLetter } from "./dictionary.ts";
import { createEditDistance } from "./edit-distance.ts";
import { MostFrequent } from "./most-frequent.ts";
import {
  BLOCK_ROWS,
  type NearWord,
  type PostingList,
  type PostingSource,
  type WordCount,
} from "./posting-list.ts";
import { createPace } from "./pace.ts";
import { createSegmentWriter, type KeywordShape, type SegmentWriter } from "./segment-writer.ts";
import { sortInSteps } from "./sort-in-steps.ts";
import { writeVarint } from "./varint.ts";

/** What is indexed of a chunk. */
export interface KeywordText {
  title: string | null;
  text: string | null;
}

/** A dictionary word; `rows` and `entries` go together and keep rows that have been removed. */
interface Term {
  form: string;
  rows: number[];
  entries: number[];
  /** Rows that are not removed. */
  count: number;
}

/** Words of an entry before its places: place of the word among the terms, times in the title, times in the text. */
const ENTRY_HEAD = 3;
/** Heap bytes of a word and of a row beside what is in the entries, as measured on English text. */
const TERM_BYTES = 300;
const ROW_BYTES = 120;
/** A posting's row and entry in two arrays of numbers that grow. */
const POSTING_BYTES = 20;

/**
 * Chunks in memory: an inverted index whose lists point into one array of entries. Removing takes a row out of every
 * count at once; its memory comes back when the delta is sealed.
 */
export class KeywordDelta implements Delta, PostingSource {
  readonly #analyser: Analyser;
  readonly #shape: KeywordShape;
  readonly #terms: Term[] = [];
  readonly #places = new Map<string, number>();
  /** Places of words by their first letter. */
  readonly #byLetter = new Map<string, number[]>();
  readonly #rowsByKey = new Map<number, number>();
  readonly #keys: number[] = [];
  #lengths = new Uint32Array(256);
  /** Where the entries of each row begin, and the end. */
  readonly #starts: number[] = [0];
  #entries = new Uint32Array(4096);
  #end = 0;
  #tokens = 0;
  #bytes = 0;

  constructor(analyser: Analyser, shape: KeywordShape) {
    this.#analyser = analyser;
    this.#shape = shape;
  }

  get size(): number {
    return this.#rowsByKey.size;
  }

  get bytes(): number {
    return this.#bytes + this.#entries.byteLength + this.#lengths.byteLength;
  }

  get rows(): number {
    return this.#keys.length;
  }

  get lengths(): Uint32Array {
    return this.#lengths;
  }

  get chunks(): number {
    return this.size;
  }

  get tokens(): number {
    return this.#tokens;
  }

  has(key: number): boolean {
    return this.#rowsByKey.has(key);
  }

  keys(): Iterable<number> {
    return this.#rowsByKey.keys();
  }

  keyAt(row: number): number {
    return this.#keys[row] ?? -1;
  }

  rowOf(key: number): number {
    return this.#rowsByKey.get(key) ?? -1;
  }

  /** Adds a chunk, in place of the one with the same key. */
  add(key: number, { title, text }: KeywordText): void {
    this.remove(key);
    const row = this.#keys.length;
    const places = new Map<number, RowWord>();
    const titleTokens = this.#read(title ?? "", { from: 0, title: 1 }, places);
    // The gap keeps a phrase from going on from the title into the text.
    const textTokens = this.#read(text ?? "", { from: titleTokens + 1, title: 0 }, places);
    const length = titleTokens + textTokens;
    for (const [place, word] of places) this.#append(row, place, word);
    this.#keys.push(key);
    this.#starts.push(this.#end);
    this.#rowsByKey.set(key, row);
    if (row >= this.#lengths.length) this.#lengths = grown(this.#lengths, row + 1);
    this.#lengths[row] = length;
    this.#tokens += length;
    this.#bytes += ROW_BYTES;
  }

  remove(key: number): boolean {
    const row = this.#rowsByKey.get(key);
    if (row === undefined) return false;
    this.#rowsByKey.delete(key);
    this.#tokens -= this.#lengths[row] ?? 0;
    const end = this.#starts[row + 1] ?? 0;
    for (let at = this.#starts[row] ?? end; at < end; at = this.#entryEnd(at)) {
      const term = this.#terms[this.#entries[at] ?? 0];
      if (term !== undefined) term.count--;
    }
    return true;
  }

  count(form: string): number {
    return this.#term(form)?.count ?? 0;
  }

  find(form: string): PostingList | undefined {
    const term = this.#term(form);
    if (term === undefined || term.count === 0) return undefined;
    const { rows, entries } = term;
    const { titleWeight, textWeight } = this.#shape;
    const words = this.#entries;
    return {
      blocks: Math.ceil(rows.length / BLOCK_ROWS),
      lastRow: (block) => rows[Math.min((block + 1) * BLOCK_ROWS, rows.length) - 1] ?? 0,
      maxFrequency: () => Infinity,
      minRatio: () => 0,
      decode(block, into) {
        const start = block * BLOCK_ROWS;
        into.count = Math.min(BLOCK_ROWS, rows.length - start);
        for (let i = 0; i < into.count; i++) {
          const entry = entries[start + i] ?? 0;
          into.rows[i] = rows[start + i] ?? 0;
          into.frequencies[i] =
            (words[entry + 1] ?? 0) * titleWeight + (words[entry + 2] ?? 0) * textWeight;
        }
      },
      positions: (block, index) => {
        const entry = entries[block * BLOCK_ROWS + index] ?? 0;
        return [...words.subarray(entry + ENTRY_HEAD, this.#entryEnd(entry))];
      },
    };
  }

  beginning(letters: string, max: number): WordCount[] {
    const most = new MostFrequent(max);
    for (const place of this.#byLetter.get(firstLetter(letters)) ?? []) {
      const term = this.#terms[place];
      if (term !== undefined && term.count > 0 && term.form.startsWith(letters)) {
        most.offer(place, term.count);
      }
    }
    return most.places().flatMap((place) => {
      const term = this.#terms[place];
      return term === undefined ? [] : [{ form: term.form, count: term.count }];
    });
  }

  near(letters: string, distanceMax: number): NearWord[] {
    const { measure, pointsMax } = createEditDistance(letters, distanceMax);
    const points = new Uint32Array(pointsMax + 1);
    const found: NearWord[] = [];
    for (const place of this.#byLetter.get(firstLetter(letters)) ?? []) {
      const term = this.#terms[place];
      if (term === undefined || term.count === 0) continue;
      let count = 0;
      for (const one of term.form) {
        if (count === points.length) break;
        points[count++] = one.codePointAt(0) ?? 0;
      }
      const distance = measure(points, count);
      if (distance <= distanceMax) found.push({ form: term.form, count: term.count, distance });
    }
    return found;
  }

  *dump(folder: string): Steps<SegmentFiles> {
    const pause = createPace();
    const keys = yield* sortInSteps([...this.#rowsByKey.keys()], (a, b) => a - b);
    const writer = createSegmentWriter(folder, this.#shape, keys.length);
    try {
      const newRows = new Int32Array(this.#keys.length).fill(-1);
      for (const [newRow, key] of keys.entries()) {
        const row = this.rowOf(key);
        newRows[row] = newRow;
        writer.row(key, this.#lengths[row] ?? 0);
        if (pause()) yield;
      }
      const words = [];
      for (const term of this.#terms) {
        if (term.count > 0) words.push({ term, bytes: Buffer.from(term.form) });
        if (pause()) yield;
      }
      const sorted = yield* sortInSteps(words, (a, b) => Buffer.compare(a.bytes, b.bytes));
      for (const { term, bytes } of sorted) {
        writer.term(bytes);
        yield* this.#dumpTerm(term, { writer, newRows, pause });
      }
      return { postings: yield* writer.finish() };
    } finally {
      writer.discard();
    }
  }

  *#dumpTerm(
    { rows, entries }: Term,
    {
      writer,
      newRows,
      pause,
    }: { writer: SegmentWriter; newRows: Int32Array; pause: () => boolean },
  ): Steps<void> {
    const words = this.#entries;
    let encoded = new Uint8Array(256);
    for (const index of liveInOrder(rows, newRows)) {
      const row = newRows[rows[index] ?? 0] ?? -1;
      const entry = entries[index] ?? 0;
      const start = entry + ENTRY_HEAD;
      const end = this.#entryEnd(entry);
      if (encoded.length < (end - start) * 5) encoded = new Uint8Array((end - start) * 5);
      let bytes = 0;
      for (let at = start; at < end; at++) {
        const before = at === start ? 0 : (words[at - 1] ?? 0);
        bytes = writeVarint(encoded, bytes, (words[at] ?? 0) - before);
      }
      writer.posting(row, words[entry + 1] ?? 0, words[entry + 2] ?? 0);
      writer.positions(encoded, 0, bytes);
      if (pause()) yield;
    }
  }

  #term(form: string): Term | undefined {
    const place = this.#places.get(form);
    return place === undefined ? undefined : this.#terms[place];
  }

  #entryEnd(entry: number): number {
    return entry + ENTRY_HEAD + (this.#entries[entry + 1] ?? 0) + (this.#entries[entry + 2] ?? 0);
  }

  /** Puts the places of a field's words, counted on from `from`, into `words`, and gives how many there are. */
  #read(
    text: string,
    { from, title }: { from: number; title: 0 | 1 },
    words: Map<number, RowWord>,
  ): number {
    let count = 0;
    this.#analyser.scan(text, (form) => {
      const place = this.#placeOf(form);
      let word = words.get(place);
      if (word === undefined) words.set(place, (word = { title: 0, places: [] }));
      word.title += title;
      word.places.push(from + count++);
    });
    return count;
  }

  #placeOf(form: string): number {
    const known = this.#places.get(form);
    if (known !== undefined) return known;
    const place = this.#terms.length;
    this.#terms.push({ form, rows: [], entries: [], count: 0 });
    this.#places.set(form, place);
    const letter = firstLetter(form);
    const others = this.#byLetter.get(letter);
    if (others === undefined) this.#byLetter.set(letter, [place]);
    else others.push(place);
    this.#bytes += TERM_BYTES + 2 * form.length;
    return place;
  }

  #append(row: number, place: number, { title, places }: RowWord): void {
    const start = this.#end;
    const end = start + ENTRY_HEAD + places.length;
    if (end > this.#entries.length) this.#entries = grown(this.#entries, end);
    const words = this.#entries;
    words[start] = place;
    words[start + 1] = title;
    words[start + 2] = places.length - title;
    for (let i = 0; i < places.length; i++) words[start + ENTRY_HEAD + i] = places[i] ?? 0;
    this.#end = end;
    const term = this.#terms[place];
    if (term === undefined) return;
    term.rows.push(row);
    term.entries.push(start);
    term.count++;
    this.#bytes += POSTING_BYTES;
  }
}

/** Places of the rows that are not removed, by their new numbers, which are nearly always in order already. */
function liveInOrder(rows: readonly number[], newRows: Int32Array): Uint32Array {
  const live = new Uint32Array(rows.length);
  let count = 0;
  let ascending = true;
  let before = -1;
  for (let index = 0; index < rows.length; index++) {
    const row = newRows[rows[index] ?? 0] ?? -1;
    if (row < 0) continue;
    if (row < before) ascending = false;
    before = row;
    live[count++] = index;
  }
  const places = live.subarray(0, count);
  const rowOf = (index: number): number => newRows[rows[index] ?? 0] ?? -1;
  return ascending ? places : places.toSorted((a, b) => rowOf(a) - rowOf(b));
}

interface RowWord {
  /** How many of the places are in the title. */
  title: number;
  places: number[];
}

function grown(words: Uint32Array<ArrayBuffer>, atLeast: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(atLeast, words.length * 2));
  larger.set(words);
  return larger;
}
