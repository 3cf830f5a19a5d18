const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** One line without its end; `bytes` is absent where the line is longer than was allowed. */
export interface FileLine {
  /** Counted from 1. */
  number: number;
  bytes?: Uint8Array;
}

/**
 * The lines of a byte stream, split at `\n` or `\r\n`. At most one line and one piece of the stream are held; of a line
 * longer than `lineBytesMax` only its number is given and reading goes on behind it. The bytes are the caller's to read
 * until the next line is asked for.
 */
export async function* readLines(
  stream: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncIterable<FileLine> {
  let number = 1;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const piece of stream) {
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, start)) {
      held.push(piece.subarray(start, end));
      yield lineOf(number++, held, lineBytesMax);
      held = [];
      heldBytes = 0;
      start = end + 1;
    }
    const rest = piece.subarray(start);
    heldBytes += rest.length;
    // Past the bound the content no longer matters; one piece more than the bound is what marks the line as too long.
    if (rest.length > 0 && heldBytes - rest.length <= lineBytesMax + 1) held.push(rest);
  }
  if (heldBytes > 0) yield lineOf(number, held, lineBytesMax);
}

function lineOf(number: number, pieces: readonly Uint8Array[], bytesMax: number): FileLine {
  const [only] = pieces;
  const joined = pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
  const bytes = joined.at(-1) === CARRIAGE_RETURN ? joined.subarray(0, -1) : joined;
  return bytes.length > bytesMax ? { number } : { number, bytes };
}
