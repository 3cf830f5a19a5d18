import { lowerBound } from "../lib/lower-bound.ts";
import type { OpenSegment } from "../segments/segment-kind.ts";
import { openDictionary, type Dictionary } from "./dictionary.ts";
import type { NearWord, PostingList, PostingSource, WordCount } from "./posting-list.ts";
import { damaged, decodeHeader, type SectionName } from "./segment-file.ts";
import { segmentList, type ListSections } from "./segment-list.ts";
import type { KeywordShape } from "./segment-writer.ts";

/** The views over one mapped file. */
interface Views {
  shape: KeywordShape;
  tokens: number;
  keys: Float64Array;
  lengths: Uint32Array;
  dictionary: Dictionary;
  termBlocks: Uint32Array;
  lists: ListSections;
}

/** About what the views of a segment take beside the mapped file. */
const HEAP_BYTES = 4096;

/**
 * A sealed segment of words, mapped and never written. Every place that is read from the file is held against the
 * section it points into, so that damaged bytes are an Error and neither a wrong read nor an endless loop.
 */
export class KeywordSegment implements OpenSegment, PostingSource {
  #views: Views | undefined;
  readonly rows: number;
  readonly heapBytes = HEAP_BYTES;

  /** Maps the file at `path`. @throws Error where it is not a segment */
  constructor(path: string) {
    this.#views = openViews(path);
    this.rows = this.#views.keys.length;
  }

  get shape(): KeywordShape {
    return this.#open().shape;
  }

  get lengths(): Uint32Array {
    return this.#open().lengths;
  }

  get chunks(): number {
    return this.rows;
  }

  get tokens(): number {
    return this.#open().tokens;
  }

  /** The dictionary in order, for merging. */
  get dictionary(): Dictionary {
    return this.#open().dictionary;
  }

  /** The sections of posting lists, for merging. */
  get lists(): ListSections {
    return this.#open().lists;
  }

  keyAt(row: number): number {
    const key = this.#open().keys[row];
    if (key === undefined) throw damaged("it has no such row");
    return key;
  }

  rowOf(key: number): number {
    const { keys } = this.#open();
    const row = lowerBound(keys, key);
    return keys[row] === key ? row : -1;
  }

  count(form: string): number {
    const { dictionary } = this.#open();
    const term = dictionary.find(form);
    return term < 0 ? 0 : dictionary.count(term);
  }

  find(form: string): PostingList | undefined {
    const term = this.#open().dictionary.find(form);
    return term < 0 ? undefined : segmentList(this.#open().lists, this.blocksOf(term));
  }

  /** The blocks of a dictionary word. @throws Error where they are not in the file */
  blocksOf(term: number): { first: number; end: number } {
    const { termBlocks, lists } = this.#open();
    const first = termBlocks[term] ?? Infinity;
    const end = termBlocks[term + 1] ?? 0;
    if (!(first < end && end <= lists.blockRows.length)) {
      throw damaged("the blocks of a word are not in it");
    }
    return { first, end };
  }

  beginning(letters: string, max: number): WordCount[] {
    return this.#open().dictionary.beginning(letters, max);
  }

  near(letters: string, distanceMax: number): NearWord[] {
    return this.#open().dictionary.near(letters, distanceMax);
  }

  /** Lets go of the file; it is unmapped when the runtime next collects what nobody holds. */
  close(): void {
    this.#views = undefined;
  }

  #open(): Views {
    if (this.#views === undefined) throw new Error("the keyword segment is closed");
    return this.#views;
  }
}

function openViews(path: string): Views {
  const file = Bun.mmap(path);
  const { sections, rows, language, titleWeight, textWeight, tokens } = decodeHeader(file);
  const at = (name: SectionName): [ArrayBufferLike, number] => [
    file.buffer,
    file.byteOffset + sections[name].offset,
  ];
  const u8 = (name: SectionName) => new Uint8Array(...at(name), sections[name].bytes);
  const u32 = (name: SectionName) => new Uint32Array(...at(name), sections[name].bytes / 4);
  return {
    shape: { language, titleWeight, textWeight },
    tokens,
    keys: new Float64Array(...at("keys"), rows),
    lengths: u32("lengths"),
    dictionary: openDictionary({
      bytes: u8("termBytes"),
      offsets: u32("termOffsets"),
      counts: u32("termCounts"),
    }),
    termBlocks: u32("termBlocks"),
    lists: {
      rows,
      titleWeight,
      textWeight,
      blockRows: u32("blockRows"),
      blockMaxima: new Float32Array(...at("blockMaxima"), sections.blockMaxima.bytes / 4),
      blockOffsets: u32("blockOffsets"),
      blockPositions: u32("blockPositions"),
      postings: u8("postings"),
      positions: u8("positions"),
    },
  };
}
