import { damaged } from "./segment-file.ts";

/** Writes a number in 7 bits a byte, the lowest first (LEB128), and gives the place after it. */
export function writeVarint(into: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) into[at++] = (rest & 0x7f) | 0x80;
  into[at++] = rest;
  return at;
}

/** Where `count` numbers that begin at `start` end. @throws Error where they run past `end` */
export function skipVarints(
  from: Uint8Array,
  { start, end, count }: { start: number; end: number; count: number },
): number {
  let at = start;
  for (let left = count; left > 0; at++) {
    if (at >= end) throw damaged("places of a word run past their section");
    if ((from[at] ?? 0) < 0x80) left--;
  }
  return at;
}

/** Reads ascending numbers from the differences between them. @throws Error where they run past `end` */
export function readAscending(
  from: Uint8Array,
  { start, end, count }: { start: number; end: number; count: number },
): number[] {
  const numbers: number[] = [];
  let sum = 0;
  for (let at = start; numbers.length < count;) {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = from[at++];
      if (byte === undefined || at > end || shift > 28) {
        throw damaged("places of a word run past their section");
      }
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    sum += value >>> 0;
    numbers.push(sum);
  }
  return numbers;
}
