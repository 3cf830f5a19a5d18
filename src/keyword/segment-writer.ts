import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Steps } from "../segments/segment-kind.ts";
import { BLOCK_ROWS } from "./posting-list.ts";
import {
  createSectionFile,
  encodeHeader,
  HEADER_BYTES,
  SECTIONS,
  writeAll,
  type SectionFile,
  type SectionName,
  type SegmentHeader,
} from "./segment-file.ts";

/** What an index was made with; words of different shapes do not mix. */
export interface KeywordShape {
  language: string;
  titleWeight: number;
  textWeight: number;
}

/** Writes a segment: first every row, then every word in ascending bytes with its rows ascending. */
export interface SegmentWriter {
  /** The next row. */
  row(key: number, length: number): void;
  /** The next word, as UTF-8. One that gets no posting is left out. */
  term(bytes: Uint8Array): void;
  /** A row of the word at hand and how often title and text have it; `position` for its places comes next. */
  posting(row: number, title: number, text: number): void;
  /** Places of the posting at hand, as the file has them. */
  positions(from: Uint8Array, start: number, end: number): void;
  /** Puts the file together and gives its path. */
  finish(): Steps<string>;
  /** Deletes what has been written, unless the file is finished. */
  discard(): void;
}

/** A writer of `postings` in a folder that exists. */
export function createSegmentWriter(
  folder: string,
  shape: KeywordShape,
  rowCount: number,
): SegmentWriter {
  const sections = openSections(folder);
  const lengths = new Uint32Array(rowCount);
  const blocks = createBlockWriter(sections, shape, lengths);
  const counts = { rows: 0, terms: 0, tokens: 0 };
  let pending: Uint8Array | undefined;
  let termRows = 0;
  const endTerm = (): void => {
    if (termRows === 0) return;
    blocks.flush();
    sections.termCounts.u32(termRows);
    termRows = 0;
  };
  const beginTerm = (bytes: Uint8Array): void => {
    sections.termOffsets.u32(offset(sections.termBytes.bytes));
    sections.termBytes.copy(bytes, 0, bytes.length);
    sections.termBlocks.u32(blocks.count);
    counts.terms++;
    pending = undefined;
  };
  return {
    row(key, length) {
      sections.keys.f64(key);
      sections.lengths.u32(length);
      lengths[counts.rows++] = length;
      counts.tokens += length;
    },
    term(bytes) {
      endTerm();
      pending = bytes;
    },
    posting(row, title, text) {
      if (pending !== undefined) beginTerm(pending);
      termRows++;
      blocks.add(row, title, text);
    },
    positions: (from, start, end) => sections.positions.copy(from, start, end),
    *finish() {
      endTerm();
      sections.termOffsets.u32(offset(sections.termBytes.bytes));
      sections.termBlocks.u32(blocks.count);
      sections.blockOffsets.u32(offset(sections.postings.bytes));
      sections.blockPositions.u32(offset(sections.positions.bytes));
      const places = placeSections(sections);
      const header = { ...shape, ...counts, blocks: blocks.count, sections: places };
      const path = join(folder, "postings");
      yield* joinSections(path, header, sections);
      return path;
    },
    discard() {
      for (const name of SECTIONS) sections[name].discard();
    },
  };
}

type Sections = Record<SectionName, SectionFile>;

function openSections(folder: string): Sections {
  const open = (name: SectionName): SectionFile => createSectionFile(join(folder, `${name}.part`));
  return {
    keys: open("keys"),
    lengths: open("lengths"),
    termBytes: open("termBytes"),
    termOffsets: open("termOffsets"),
    termCounts: open("termCounts"),
    termBlocks: open("termBlocks"),
    blockRows: open("blockRows"),
    blockMaxima: open("blockMaxima"),
    blockOffsets: open("blockOffsets"),
    blockPositions: open("blockPositions"),
    postings: open("postings"),
    positions: open("positions"),
  };
}

function placeSections(sections: Sections): SegmentHeader["sections"] {
  let at = HEADER_BYTES;
  const place = (name: SectionName): { offset: number; bytes: number } => {
    const { bytes } = sections[name];
    const placed = { offset: at, bytes };
    at += Math.ceil(bytes / 8) * 8;
    return placed;
  };
  return {
    keys: place("keys"),
    lengths: place("lengths"),
    termBytes: place("termBytes"),
    termOffsets: place("termOffsets"),
    termCounts: place("termCounts"),
    termBlocks: place("termBlocks"),
    blockRows: place("blockRows"),
    blockMaxima: place("blockMaxima"),
    blockOffsets: place("blockOffsets"),
    blockPositions: place("blockPositions"),
    postings: place("postings"),
    positions: place("positions"),
  };
}

function* joinSections(path: string, header: SegmentHeader, sections: Sections): Steps<void> {
  const descriptor = openSync(path, "wx");
  try {
    writeAll(descriptor, encodeHeader(header));
    for (const name of SECTIONS) {
      while (sections[name].moveInto(descriptor)) yield;
      const over = header.sections[name].bytes % 8;
      if (over > 0) writeSync(descriptor, new Uint8Array(8 - over));
    }
  } finally {
    closeSync(descriptor);
  }
}

function offset(bytes: number): number {
  if (bytes > 0xff_ff_ff_ff) throw new Error("a keyword segment has more than 4 GiB of words");
  return bytes;
}

/** Bytes per number: 0, 1, 2 or 4, written as 0…3. */
const WIDTHS = [0, 1, 2, 4] as const;

function widthFor(max: number): 1 | 2 | 3 {
  if (max < 0x1_00) return 1;
  return max < 0x1_00_00 ? 2 : 3;
}

function createBlockWriter(sections: Sections, shape: KeywordShape, lengths: Uint32Array) {
  const rows = new Uint32Array(BLOCK_ROWS);
  const titles = new Uint32Array(BLOCK_ROWS);
  const texts = new Uint32Array(BLOCK_ROWS);
  const encoded = new Uint8Array(2 + BLOCK_ROWS * 12);
  let count = 0;
  let written = 0;
  const maxima = (): { frequency: number; ratio: number } => {
    let frequency = 0;
    let ratio = Infinity;
    for (let index = 0; index < count; index++) {
      const one = (titles[index] ?? 0) * shape.titleWeight + (texts[index] ?? 0) * shape.textWeight;
      frequency = Math.max(frequency, one);
      ratio = Math.min(ratio, (lengths[rows[index] ?? 0] ?? 0) / one);
    }
    return { frequency, ratio };
  };
  const flush = (): void => {
    if (count === 0) return;
    const last = rows[count - 1] ?? 0;
    const { frequency, ratio } = maxima();
    sections.blockRows.u32(last);
    sections.blockMaxima.f32(roundedUp(frequency));
    sections.blockMaxima.f32(roundedDown(ratio));
    sections.blockOffsets.u32(offset(sections.postings.bytes));
    const bytes = encodeBlock(encoded, { count, rows, titles, texts });
    sections.postings.copy(encoded, 0, bytes);
    written++;
    count = 0;
  };
  return {
    get count() {
      return written;
    },
    add(row: number, title: number, text: number): void {
      if (count === BLOCK_ROWS) flush();
      if (count === 0) sections.blockPositions.u32(offset(sections.positions.bytes));
      rows[count] = row;
      titles[count] = title;
      texts[count] = text;
      count++;
    },
    flush,
  };
}

interface Block {
  count: number;
  rows: Uint32Array;
  titles: Uint32Array;
  texts: Uint32Array;
}

function encodeBlock(into: Uint8Array, { count, rows, titles, texts }: Block): number {
  const last = rows[count - 1] ?? 0;
  const distances = rows.subarray(0, count).map((row) => last - row);
  const text = texts.subarray(0, count);
  const title = titles.subarray(0, count);
  const rowWidth = count === 1 ? 0 : widthFor(distances[0] ?? 0);
  const textWidth = text.every((one) => one === 1) ? 0 : widthFor(maxOf(text));
  const titleWidth = title.every((one) => one === 0) ? 0 : widthFor(maxOf(title));
  into[0] = rowWidth | (textWidth << 2) | (titleWidth << 4);
  into[1] = count - 1;
  let at = writeNumbers(into, 2, { from: distances, width: WIDTHS[rowWidth] });
  at = writeNumbers(into, at, { from: text, width: WIDTHS[textWidth] });
  return writeNumbers(into, at, { from: title, width: WIDTHS[titleWidth] });
}

function writeNumbers(
  into: Uint8Array,
  start: number,
  { from, width }: { from: Uint32Array; width: number },
): number {
  let at = start;
  if (width === 0) return at;
  for (const value of from) {
    for (let byte = 0; byte < width; byte++) into[at++] = (value >>> (byte * 8)) & 0xff;
  }
  return at;
}

function maxOf(numbers: Uint32Array): number {
  let max = 0;
  for (const one of numbers) if (one > max) max = one;
  return max;
}

/** The next Float32 or the number itself, so that a bound stays one. */
function roundedUp(value: number): number {
  const near = Math.fround(value);
  return near >= value ? near : Math.fround(near * (1 + 2 ** -23));
}

function roundedDown(value: number): number {
  const near = Math.fround(value);
  return near <= value ? near : Math.fround(near * (1 - 2 ** -23));
}
