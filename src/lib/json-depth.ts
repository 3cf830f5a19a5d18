const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b];

/**
 * True if brackets in a JSON text nest deeper than `depthMax`. Reads the bytes once and allocates nothing, so that it
 * can go before a parser that would recurse. On text that is not JSON the answer means nothing and the parser refuses it.
 */
export function isDeeperThan(bytes: Uint8Array, depthMax: number): boolean {
  return hasMoreBrackets(bytes, depthMax) && nestsDeeper(bytes, depthMax);
}

/** Most texts have fewer brackets than they could nest, and looking for a byte is fifty times as fast as reading. */
function hasMoreBrackets(bytes: Uint8Array, countMax: number): boolean {
  let count = 0;
  for (const byte of OPENING) {
    for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) {
      if (++count > countMax) return true;
    }
  }
  return false;
}

function nestsDeeper(bytes: Uint8Array, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    if (inString) {
      if (byte === BACKSLASH) index++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > depthMax) return true;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  return false;
}
