import { createBlock, type PostingBlock, type PostingList } from "./posting-list.ts";

/** A place in a posting list that only moves on. */
export interface Cursor {
  readonly list: PostingList;
  /** The largest score of the word; see `gainOf`. */
  readonly gain: number;
  block: number;
  /** The decoded block, -1 for none. */
  loaded: number;
  /** Place in the block, if it is decoded. */
  index: number;
  readonly buffer: PostingBlock;
}

/** The row of a cursor that is at its end; greater than every row. Within 32 bits, for the compiler's sake. */
export const END = 0x7f_ff_ff_ff;

/** A cursor before the first row. */
export function createCursor(list: PostingList, gain = 0): Cursor {
  return { list, gain, block: 0, loaded: -1, index: 0, buffer: createBlock() };
}

/** Moves to the first block that ends at the row or after it. False where there is none. */
export function seekBlock(cursor: Cursor, row: number): boolean {
  const { list } = cursor;
  let block = cursor.block;
  while (block < list.blocks && list.lastRow(block) < row) block++;
  if (block !== cursor.block) {
    cursor.block = block;
    cursor.index = 0;
  }
  return block < list.blocks;
}

/** Decodes the block that the cursor is in. */
export function loadBlock(cursor: Cursor): PostingBlock {
  if (cursor.loaded !== cursor.block) {
    cursor.loaded = -1;
    cursor.list.decode(cursor.block, cursor.buffer);
    cursor.loaded = cursor.block;
  }
  return cursor.buffer;
}

/** Moves to the first row that is not below `row` and gives it; `END` where there is none. */
export function seekRow(cursor: Cursor, row: number): number {
  if (!seekBlock(cursor, row)) return END;
  const { rows, count } = loadBlock(cursor);
  let low = cursor.index;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle] ?? END) < row) low = middle + 1;
    else high = middle;
  }
  cursor.index = low;
  return low < count ? (rows[low] ?? END) : END;
}

/** Every row of a list, ascending. */
export function eachRow(list: PostingList, visit: (row: number) => void): void {
  const buffer = createBlock();
  for (let block = 0; block < list.blocks; block++) {
    list.decode(block, buffer);
    for (let index = 0; index < buffer.count; index++) visit(buffer.rows[index] ?? 0);
  }
}
