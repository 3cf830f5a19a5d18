/** What is published: 256 bytes of JSON that begin with the time they were meant to be sent at. */

const BYTES = 256;
const DIGITS = 12;
const OPENING = '{"t":"';
const NEEDLE = Buffer.from(OPENING);
const WORDS = "the quick brown fox jumps over a lazy dog while the slow bear looks on; ".repeat(4);
const CLOSING = `","text":"${WORDS}`.slice(0, BYTES - OPENING.length - DIGITS - 2) + '"}';

/** The payload of a publication. `us` is of this process's own clock, less than 10^12. */
export function payloadAt(us: number): string {
  return OPENING + String(Math.round(us)).padStart(DIGITS, "0") + CLOSING;
}

/** The time in a frame that begins at an offset, µs; undefined where these bytes do not have it whole. */
export function timeIn(bytes: Buffer, from: number): number | undefined {
  const found = bytes.indexOf(NEEDLE, from);
  const first = found + NEEDLE.length;
  if (found < 0 || first + DIGITS > bytes.length) return undefined;
  let us = 0;
  for (let at = first; at < first + DIGITS; at++) us = us * 10 + ((bytes[at] ?? 0) - 48);
  return us;
}
