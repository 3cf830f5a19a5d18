/** Random bytes are taken from the system for some hundred ids at a time, and made into text at once. */
const bytes = new Uint8Array(8192);
let digits = "";
let used = 0;

/**
 * So many random hex digits, lower-case. What is cut out keeps the text of all of them in memory: whoever keeps an id for
 * long makes another text with it. The standard forbids an id of zeros, which none of so many bits will ever be.
 */
export function randomHex(count: number): string {
  if (used + count > digits.length) {
    digits = crypto.getRandomValues(bytes).toHex();
    used = 0;
  }
  used += count;
  return digits.slice(used - count, used);
}
