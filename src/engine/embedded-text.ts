/** Longest part of a title that is put before each of a document's chunks, UTF-16 code units. */
const TITLE_LENGTH_MAX = 200;

/** What the model reads before a chunk's own text: the title gives a lone passage its subject. */
export function embeddedTitle(title: string | null): string {
  return title === null || title.trim() === ""
    ? ""
    : `${title.slice(0, TITLE_LENGTH_MAX).toWellFormed()}\n`;
}

/** What the model reads of a chunk. */
export function embeddedText(title: string | null, text: string): string {
  return embeddedTitle(title) + text;
}
