/** What stands between one Markdown heading and the next. */
export interface Section {
  /** UTF-16 offsets into the text, half-open. */
  start: number;
  end: number;
  /** The innermost heading over the section, without its marks; absent before the first heading. */
  heading: string | undefined;
  /** Offsets, relative to `start`, where a paragraph, list or fenced block begins after a blank line. */
  blockBorders: number[];
}

interface Line {
  start: number;
  /** Without its line end. */
  content: string;
}

/** What the last line that counts was; blank lines under a heading do not. */
type Before = "blank" | "heading" | "body";

interface Fence {
  mark: string;
  length: number;
}

/**
 * Cuts a text at its Markdown headings: ATX (`## Title`) of every level, and setext (a line alone over `===` or `---`).
 * A heading with nothing under it opens no section of its own but joins the next one, because a bare title answers no
 * query. The sections tile the text; an empty text is one empty section. O(text).
 *
 * Source: CommonMark 0.31.2, sections 4.2, 4.3 and 4.5, with two liberties. A setext title is one line after a blank one
 * and its underline has three marks, so that a wrapped paragraph over a rule stays a paragraph; and an ATX heading
 * without a title is no heading.
 */
export function splitSections(text: string): Section[] {
  const sections: Section[] = [];
  let section: Section = { start: 0, end: text.length, heading: undefined, blockBorders: [] };
  let hasBody = false;
  let fence: Fence | undefined;
  let before: Before = "blank";
  const lines = readLines(text);
  for (const [index, line] of lines.entries()) {
    const next = lines[index + 1]?.content ?? "";
    const title = fence === undefined ? readTitle(line.content, { next, before }) : undefined;
    if (title !== undefined) {
      if (hasBody) {
        sections.push({ ...section, end: line.start });
        section = { start: line.start, end: text.length, heading: title, blockBorders: [] };
        hasBody = false;
      }
      section.heading = title;
      before = "heading";
    } else if (before === "heading" && isUnderline(line.content)) {
      // The second line of a setext heading, or a rule right under a heading: neither is body.
    } else if (!/\S/.test(line.content)) {
      if (before === "body" && fence === undefined) before = "blank";
    } else {
      // The first block stays with its heading, which alone would be a chunk that says nothing.
      if (before === "blank" && hasBody) section.blockBorders.push(line.start - section.start);
      fence = readFence(line.content, fence);
      hasBody = true;
      before = "body";
    }
  }
  sections.push(section);
  return sections;
}

function readLines(text: string): Line[] {
  const lines: Line[] = [];
  let start = 0;
  while (start < text.length) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const contentEnd = end > start && text[end - 1] === "\r" ? end - 1 : end;
    lines.push({ start, content: text.slice(start, contentEnd) });
    start = end + 1;
  }
  return lines;
}

/** The title, if the line is a heading: its own marks say so, or the line below does. */
function readTitle(line: string, around: { next: string; before: Before }): string | undefined {
  const marks = /^ {0,3}#{1,6}(?=[ \t])/.exec(line)?.[0];
  if (marks !== undefined) return stripClosingMarks(line.slice(marks.length).trim());
  if (around.before === "body" || !isUnderline(around.next)) return undefined;
  // A rule, a fence, a list item, a quotation, a table row or indented code is no title, whatever stands below it.
  if (isUnderline(line) || readFence(line, undefined) !== undefined) return undefined;
  if (!/^ {0,3}(?![>|#]|[-+*][ \t])\S/.test(line)) return undefined;
  return line.trim();
}

/** `Title ##` -> `Title`, `C#` stays, `##` -> undefined. */
function stripClosingMarks(title: string): string | undefined {
  let end = title.length;
  while (end > 0 && title[end - 1] === "#") end -= 1;
  const isClosing = end === 0 || /[ \t]/.test(title.charAt(end - 1));
  const stripped = isClosing ? title.slice(0, end).trimEnd() : title;
  return stripped === "" ? undefined : stripped;
}

function isUnderline(line: string): boolean {
  return /^ {0,3}(?:={3,}|-{3,})[ \t]*$/.test(line);
}

/** The fence that is open after this line. */
function readFence(line: string, open: Fence | undefined): Fence | undefined {
  const run = /^ {0,3}(`{3,}|~{3,})/.exec(line);
  const marks = run?.[1];
  if (run === null || marks === undefined) return open;
  const mark = marks.charAt(0);
  const rest = line.slice(run[0].length);
  if (open === undefined) {
    // Backticks after the opening run make it inline code.
    return mark === "`" && rest.includes("`") ? undefined : { mark, length: marks.length };
  }
  const closes = mark === open.mark && marks.length >= open.length && !/\S/.test(rest);
  return closes ? undefined : open;
}
