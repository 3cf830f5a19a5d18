/** Borders to cut at, best first: a blank line, a line end, a space. */
const BORDERS = ["\n\n", "\n", " "] as const;

/**
 * A text in parts of at most `bytesMax` UTF-8 bytes (4 or more) that put together are the text again. Each part is as
 * long as it may be and ends behind the last blank line in its second half; where that half has none, behind its last
 * line end, else its last space, else anywhere between two code points. O(length).
 */
export function splitText(text: string, bytesMax: number): string[] {
  const encoder = new TextEncoder();
  const scratch = new Uint8Array(bytesMax);
  const parts: string[] = [];
  let start = 0;
  while (start < text.length) {
    // A part has at most one UTF-16 unit per byte, so this slice holds all that can fit.
    const slice = text.slice(start, start + bytesMax);
    const { read } = encoder.encodeInto(slice, scratch);
    const length = start + read === text.length ? read : cutAt(slice.slice(0, read));
    parts.push(slice.slice(0, length));
    start += length;
  }
  return parts;
}

function cutAt(window: string): number {
  for (const border of BORDERS) {
    const index = window.lastIndexOf(border);
    if (index >= window.length / 2) return index + border.length;
  }
  return window.length;
}
