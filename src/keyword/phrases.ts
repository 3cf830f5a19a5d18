import { createCursor, END, seekRow, type Cursor } from "./cursor.ts";
import type { PostingSource } from "./posting-list.ts";

/** The rows of a part that have every one of the phrases, ascending. */
export function phraseRows(
  source: PostingSource,
  phrases: readonly (readonly string[])[],
): number[] {
  let rows: number[] | undefined;
  for (const phrase of phrases) {
    const found = rowsWith(source, phrase);
    rows = rows === undefined ? found : intersect(rows, found);
    if (rows.length === 0) return rows;
  }
  return rows ?? [];
}

function rowsWith(source: PostingSource, phrase: readonly string[]): number[] {
  const cursors: Cursor[] = [];
  for (const form of phrase) {
    const list = source.find(form);
    if (list === undefined) return [];
    cursors.push(createCursor(list));
  }
  const found: number[] = [];
  const rarestFirst = cursors.toSorted((a, b) => a.list.blocks - b.list.blocks);
  for (let row = 0; row < source.rows; row++) {
    row = nextShared(rarestFirst, row);
    if (row === END) break;
    if (inOrder(cursors)) found.push(row);
  }
  return found;
}

/** The first row from `row` on that all cursors have; they stand on it afterwards. */
function nextShared(cursors: readonly Cursor[], from: number): number {
  let row = from;
  for (let agreed = 0; agreed < cursors.length;) {
    agreed = 0;
    for (const cursor of cursors) {
      const at = seekRow(cursor, row);
      if (at === END) return END;
      if (at !== row) {
        row = at;
        break;
      }
      agreed++;
    }
  }
  return row;
}

/** Whether the words stand one after the other in the row that all cursors are at. */
function inOrder(cursors: readonly Cursor[]): boolean {
  let starts: number[] | undefined;
  for (const [offset, { list, block, index }] of cursors.entries()) {
    const places = list.positions(block, index).map((place) => place - offset);
    starts = starts === undefined ? places : intersect(starts, places);
    if (starts.length === 0) return false;
  }
  return true;
}

/** What two ascending lists share. */
export function intersect(a: readonly number[], b: readonly number[]): number[] {
  const shared: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [one, other] = [a[i] ?? 0, b[j] ?? 0];
    if (one === other) shared.push(one);
    if (one <= other) i++;
    if (other <= one) j++;
  }
  return shared;
}
