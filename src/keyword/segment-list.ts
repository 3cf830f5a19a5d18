import { BLOCK_ROWS, type PostingBlock, type PostingList } from "./posting-list.ts";
import { damaged } from "./segment-file.ts";
import { readAscending, skipVarints } from "./varint.ts";

/** The mapped sections that posting lists are read from. */
export interface ListSections {
  rows: number;
  titleWeight: number;
  textWeight: number;
  blockRows: Uint32Array;
  blockMaxima: Float32Array;
  blockOffsets: Uint32Array;
  blockPositions: Uint32Array;
  postings: Uint8Array;
  positions: Uint8Array;
}

/** One block with its frequencies by field, as the file has it. Of one type throughout, which keeps the readers quick. */
export interface RawBlock {
  count: number;
  rows: Int32Array;
  readonly titles: Int32Array;
  readonly texts: Int32Array;
  /** Where the places of its first row begin, and those of its last one end at the latest. */
  positionsStart: number;
  positionsEnd: number;
}

/** An empty block. */
export function createRawBlock(): RawBlock {
  return {
    count: 0,
    rows: new Int32Array(BLOCK_ROWS),
    titles: new Int32Array(BLOCK_ROWS),
    texts: new Int32Array(BLOCK_ROWS),
    positionsStart: 0,
    positionsEnd: 0,
  };
}

/** Searches never interleave, so that one block serves them all, and one all phrases. */
const raw = createRawBlock();
const placed = createRawBlock();

/** The posting list of blocks `first…end`. */
export function segmentList(
  sections: ListSections,
  { first, end: after }: { first: number; end: number },
): PostingList {
  const { blockRows, blockMaxima, titleWeight, textWeight } = sections;
  return {
    blocks: after - first,
    lastRow: (block) => blockRows[first + block] ?? 0,
    maxFrequency: (block) => blockMaxima[2 * (first + block)] ?? Infinity,
    minRatio: (block) => blockMaxima[2 * (first + block) + 1] ?? 0,
    decode(block, into: PostingBlock) {
      const before = block === 0 ? -1 : (blockRows[first + block - 1] ?? 0);
      raw.rows = into.rows;
      const { textWidth, titleWidth } = decodeBlock(sections, first + block, {
        into: raw,
        after: before,
      });
      const { count, texts, titles } = raw;
      const { frequencies } = into;
      into.count = count;
      if (titleWidth > 0) {
        for (let i = 0; i < count; i++) {
          frequencies[i] = (titles[i] ?? 0) * titleWeight + (texts[i] ?? 0) * textWeight;
        }
      } else if (textWidth === 0) frequencies.fill(textWeight, 0, count);
      else for (let i = 0; i < count; i++) frequencies[i] = (texts[i] ?? 0) * textWeight;
    },
    positions(block, index) {
      decodeBlock(sections, first + block, { into: placed, after: -1 });
      const tokens = (at: number): number => (placed.titles[at] ?? 0) + (placed.texts[at] ?? 0);
      let before = 0;
      for (let at = 0; at < index; at++) before += tokens(at);
      const end = placed.positionsEnd;
      const start = skipVarints(sections.positions, {
        start: placed.positionsStart,
        end,
        count: before,
      });
      return readAscending(sections.positions, { start, end, count: tokens(index) });
    },
  };
}

/**
 * Decodes one block and gives the widths of its frequencies, 0 where all are 1 in the text and 0 in the title. `after` is the row that its first must lie behind.
 * @throws Error where the bytes are not a block or its rows do not ascend to the one they must end with
 */
export function decodeBlock(
  sections: ListSections,
  block: number,
  { into, after }: { into: RawBlock; after: number },
): { textWidth: number; titleWidth: number } {
  const { postings, positions, blockOffsets, blockPositions } = sections;
  const start = blockOffsets[block] ?? Infinity;
  const end = blockOffsets[block + 1] ?? 0;
  const last = sections.blockRows[block] ?? Infinity;
  if (!(start + 2 <= end && end <= postings.length && last < sections.rows)) {
    throw damaged("a block lies outside its section");
  }
  const widths = postings[start] ?? 0;
  const count = (postings[start + 1] ?? 0) + 1;
  const rowWidth = WIDTHS[widths & 3] ?? 0;
  const textWidth = WIDTHS[(widths >> 2) & 3] ?? 0;
  const titleWidth = WIDTHS[(widths >> 4) & 3] ?? 0;
  const bytes = count * (rowWidth + textWidth + titleWidth);
  if (count > BLOCK_ROWS || start + 2 + bytes !== end) throw damaged("a block has a wrong size");
  into.count = count;
  let at = readNumbers(postings, start + 2, { into: into.rows, count, width: rowWidth, none: 0 });
  toRows(into.rows, count, { last, after });
  at = readNumbers(postings, at, { into: into.texts, count, width: textWidth, none: 1 });
  readNumbers(postings, at, { into: into.titles, count, width: titleWidth, none: 0 });
  into.positionsStart = blockPositions[block] ?? Infinity;
  into.positionsEnd = blockPositions[block + 1] ?? 0;
  if (!(into.positionsStart <= into.positionsEnd && into.positionsEnd <= positions.length)) {
    throw damaged("places of a block lie outside their section");
  }
  return { textWidth, titleWidth };
}

const WIDTHS = [0, 1, 2, 4] as const;

function toRows(
  rows: Int32Array,
  count: number,
  { last, after }: { last: number; after: number },
): void {
  let before = after;
  for (let i = 0; i < count; i++) {
    const row = (last - (rows[i] ?? 0)) | 0;
    if (row <= before) throw damaged("the rows of a block do not ascend");
    rows[i] = row;
    before = row;
  }
  if (before !== last) throw damaged("the rows of a block do not end where they must");
}

function readNumbers(
  from: Uint8Array,
  start: number,
  { into, count, width, none }: { into: Int32Array; count: number; width: number; none: number },
): number {
  let at = start;
  if (width === 0) into.fill(none, 0, count);
  else if (width === 1) for (let i = 0; i < count; i++) into[i] = from[at++] ?? 0;
  else if (width === 2) {
    for (let i = 0; i < count; i++, at += 2) into[i] = (from[at] ?? 0) | ((from[at + 1] ?? 0) << 8);
  } else {
    for (let i = 0; i < count; i++, at += 4) {
      into[i] =
        (from[at] ?? 0) |
        ((from[at + 1] ?? 0) << 8) |
        ((from[at + 2] ?? 0) << 16) |
        ((from[at + 3] ?? 0) << 24);
    }
  }
  return at;
}
