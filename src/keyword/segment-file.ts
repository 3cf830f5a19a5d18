import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";

/**
 * One file holds a sealed segment. After the header come its sections, each at a multiple of 8; numbers are
 * little-endian, as typed arrays read them on every machine that the program is built for.
 *
 * - keys: Float64 per row, ascending; lengths: Uint32 per row, words of title and text.
 * - termBytes: the dictionary's words in UTF-8, ascending by bytes, one after the other; termOffsets: Uint32, where each
 *   begins, and the end; termCounts: Uint32, rows that have it; termBlocks: Uint32, its first block, and the end.
 * - blockRows: Uint32, the last row of each block; blockMaxima: two Float32, the largest frequency and the smallest
 *   quotient of length and frequency; blockOffsets and blockPositions: Uint32, where a block begins in the next two
 *   sections, and the end.
 * - postings: per block a byte of widths, a byte with the count less one, and then per row the distance to the block's
 *   last row, the word's frequency in the text (width 0: one) and in the title (width 0: none).
 * - positions: per row the word's places, first those in the title, as differences in 7 bits a byte (LEB128).
 */
export const SECTIONS = [
  "keys",
  "lengths",
  "termBytes",
  "termOffsets",
  "termCounts",
  "termBlocks",
  "blockRows",
  "blockMaxima",
  "blockOffsets",
  "blockPositions",
  "postings",
  "positions",
] as const;

export type SectionName = (typeof SECTIONS)[number];

/** What a file says of itself. */
export interface SegmentHeader {
  rows: number;
  terms: number;
  blocks: number;
  /** Words of all rows. */
  tokens: number;
  titleWeight: number;
  textWeight: number;
  language: string;
  sections: Record<SectionName, { offset: number; bytes: number }>;
}

export const HEADER_BYTES = 512;
/** Counted up with every change of what is written above. */
export const FORMAT = 1;
const MAGIC = "SLIPKEYW";
const LANGUAGE_AT = 48;
const LANGUAGE_BYTES = 32;
const SECTIONS_AT = 80;

/** The header as it stands at the beginning of the file. */
export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  new TextEncoder().encodeInto(MAGIC, bytes);
  view.setUint32(8, FORMAT, true);
  view.setUint32(12, header.rows, true);
  view.setUint32(16, header.terms, true);
  view.setUint32(20, header.blocks, true);
  view.setFloat64(24, header.tokens, true);
  view.setFloat64(32, header.titleWeight, true);
  view.setFloat64(40, header.textWeight, true);
  new TextEncoder().encodeInto(
    header.language,
    bytes.subarray(LANGUAGE_AT, LANGUAGE_AT + LANGUAGE_BYTES),
  );
  for (const [index, name] of SECTIONS.entries()) {
    view.setFloat64(SECTIONS_AT + index * 16, header.sections[name].offset, true);
    view.setFloat64(SECTIONS_AT + index * 16 + 8, header.sections[name].bytes, true);
  }
  return bytes;
}

/** Reads a header and holds it against the size of the file. @throws Error where the file is not what it says */
export function decodeHeader(file: Uint8Array): SegmentHeader {
  if (file.length < HEADER_BYTES) throw damaged("it ends in its header");
  const view = new DataView(file.buffer, file.byteOffset, HEADER_BYTES);
  const text = (from: number, to: number): string =>
    Buffer.from(file.subarray(from, to)).toString().replace(/\0+$/, "");
  if (text(0, 8) !== MAGIC) throw damaged("it is no such file");
  if (view.getUint32(8, true) !== FORMAT) throw damaged("it has another format");
  const section = (name: SectionName) => {
    const at = SECTIONS_AT + SECTIONS.indexOf(name) * 16;
    return { offset: view.getFloat64(at, true), bytes: view.getFloat64(at + 8, true) };
  };
  const header: SegmentHeader = {
    rows: view.getUint32(12, true),
    terms: view.getUint32(16, true),
    blocks: view.getUint32(20, true),
    tokens: view.getFloat64(24, true),
    titleWeight: view.getFloat64(32, true),
    textWeight: view.getFloat64(40, true),
    language: text(LANGUAGE_AT, LANGUAGE_AT + LANGUAGE_BYTES),
    sections: {
      keys: section("keys"),
      lengths: section("lengths"),
      termBytes: section("termBytes"),
      termOffsets: section("termOffsets"),
      termCounts: section("termCounts"),
      termBlocks: section("termBlocks"),
      blockRows: section("blockRows"),
      blockMaxima: section("blockMaxima"),
      blockOffsets: section("blockOffsets"),
      blockPositions: section("blockPositions"),
      postings: section("postings"),
      positions: section("positions"),
    },
  };
  checkSections(header, file.length);
  return header;
}

function checkSections(
  { rows, terms, blocks, tokens, sections }: SegmentHeader,
  size: number,
): void {
  const expected: Partial<Record<SectionName, number>> = {
    keys: rows * 8,
    lengths: rows * 4,
    termOffsets: (terms + 1) * 4,
    termCounts: terms * 4,
    termBlocks: (terms + 1) * 4,
    blockRows: blocks * 4,
    blockMaxima: blocks * 8,
    blockOffsets: (blocks + 1) * 4,
    blockPositions: (blocks + 1) * 4,
  };
  if (rows > 0x7f_ff_ff_fe) throw damaged("its count of rows is none");
  if (!(tokens >= 0 && Number.isFinite(tokens))) throw damaged("its count of words is none");
  for (const name of SECTIONS) {
    const { offset, bytes } = sections[name];
    const inside = Number.isInteger(offset) && Number.isInteger(bytes) && bytes >= 0;
    if (!inside || offset % 8 !== 0 || offset < HEADER_BYTES || offset + bytes > size) {
      throw damaged(`its section ${name} is not in it`);
    }
    if (bytes !== (expected[name] ?? bytes)) throw damaged(`its section ${name} has another size`);
  }
}

/** The failure for a file whose bytes cannot be right. */
export function damaged(reason: string): Error {
  return new Error(`the keyword segment is damaged: ${reason}`);
}

/** A section while it is written: a file of its own, since what comes before it in the segment is not known yet. */
export interface SectionFile {
  readonly bytes: number;
  u32(value: number): void;
  f32(value: number): void;
  f64(value: number): void;
  /** Appends `from[start…end)`. */
  copy(from: Uint8Array, start: number, end: number): void;
  /** Copies the next piece into another file. False when there is nothing left; the section's own file is then gone. */
  moveInto(descriptor: number): boolean;
  /** Closes and deletes the file, if that has not been done. */
  discard(): void;
}

const PIECE_BYTES = 256 * 1024;

/** An empty section at a path. The caller moves it or discards it. */
export function createSectionFile(path: string): SectionFile {
  const descriptor = openSync(path, "wx+");
  const piece = new Uint8Array(PIECE_BYTES);
  const view = new DataView(piece.buffer);
  let used = 0;
  let flushed = 0;
  let moved = 0;
  let open = true;
  const flush = (): void => {
    writeAll(descriptor, piece.subarray(0, used));
    flushed += used;
    used = 0;
  };
  const room = (bytes: number): number => {
    if (used + bytes > PIECE_BYTES) flush();
    used += bytes;
    return used - bytes;
  };
  const discard = (): void => {
    if (!open) return;
    open = false;
    closeSync(descriptor);
    unlinkSync(path);
  };
  return {
    get bytes() {
      return flushed + used;
    },
    u32: (value) => view.setUint32(room(4), value, true),
    f32: (value) => view.setFloat32(room(4), value, true),
    f64: (value) => view.setFloat64(room(8), value, true),
    copy(from, start, end) {
      for (let at = start; at < end;) {
        const bytes = Math.min(end - at, PIECE_BYTES);
        const to = room(bytes);
        // Most copies are of a few bytes, for which a view costs more than the copy.
        if (bytes < 32) for (let i = 0; i < bytes; i++) piece[to + i] = from[at + i] ?? 0;
        else piece.set(from.subarray(at, at + bytes), to);
        at += bytes;
      }
    },
    moveInto(target) {
      if (used > 0) flush();
      const bytes = readSync(descriptor, piece, 0, PIECE_BYTES, moved);
      writeAll(target, piece.subarray(0, bytes));
      moved += bytes;
      if (bytes > 0) return true;
      if (moved !== flushed) throw new Error(`${path} was cut while it was written`);
      discard();
      return false;
    },
    discard,
  };
}

/** Writes all bytes at a file's end. */
export function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at, bytes.length - at);
}
