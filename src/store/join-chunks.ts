/**
 * A document's text, put together from its chunks in their order; null where none has text. They tile the text; where they
 * overlap, only what lies past the previous end is new.
 */
export function joinChunks(
  chunks: readonly { start: number; text: string | null }[],
): string | null {
  let text = "";
  let found = false;
  for (const chunk of chunks) {
    if (chunk.text === null) continue;
    found = true;
    text += chunk.text.slice(text.length - chunk.start);
  }
  return found ? text : null;
}
