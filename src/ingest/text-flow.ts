/** Collects running text from markup: folds white space, and turns block borders into line breaks and Markdown signs. */
export interface TextFlow {
  /** Adds text; runs of white space count as one space. */
  write(text: string): void;
  /** Adds text as it is, for instance a block of code. */
  writeVerbatim(text: string): void;
  /** What follows begins a paragraph. */
  paragraph(): void;
  /** What follows begins a line. */
  line(): void;
  /** A break asked for by hand: one begins a line, two in a row a paragraph; in a heading it is a space. */
  lineBreak(): void;
  /** What follows begins a paragraph with `level` signs `#`. */
  heading(level: number): void;
  /** What follows begins a line with `- `, indented by two spaces for each depth past 1. */
  listItem(depth: number): void;
  /** Drops the sign of a heading or list item that turned out to be empty. */
  endBlock(): void;
  /** What follows begins a table row. */
  row(): void;
  /** What follows begins a cell; ` | ` stands before it unless the row is still empty. */
  cell(): void;
  /** All text so far, no white space at either end. */
  finish(): string;
}

/** An empty flow. */
export function createTextFlow(): TextFlow {
  const parts: string[] = [];
  let breaks = 0;
  let hasSpace = false;
  // A sign waits for the text it stands before, so that an empty block leaves none and a block in a block keeps it.
  let sign = "";
  let inHeading = false;
  let rowStart = 0;

  const begin = (nextSign: string, breaksMin: number) => {
    breaks = Math.max(breaks, breaksMin);
    sign = nextSign;
    inHeading = false;
  };
  const emit = (text: string) => {
    if (parts.length > 0 && breaks > 0) parts.push("\n".repeat(breaks));
    else if (parts.length > 0 && hasSpace && sign === "") parts.push(" ");
    parts.push(sign, text);
    breaks = 0;
    hasSpace = false;
    sign = "";
  };

  return {
    write(text) {
      const folded = text.replace(/\s+/g, " ");
      const body = folded.trim();
      if (folded.startsWith(" ")) hasSpace = true;
      if (body === "") return;
      emit(body);
      hasSpace = folded.endsWith(" ");
    },
    writeVerbatim: emit,
    paragraph() {
      if (sign === "") begin("", 2);
    },
    line() {
      if (sign === "") begin("", 1);
    },
    lineBreak() {
      // A break inside a heading would leave half of it outside the heading's line.
      if (inHeading) hasSpace = true;
      else if (sign === "") breaks = Math.min(2, breaks + 1);
    },
    heading(level) {
      begin(`${"#".repeat(level)} `, 2);
      inHeading = true;
    },
    listItem(depth) {
      begin(`${"  ".repeat(Math.max(0, depth - 1))}- `, 1);
    },
    endBlock() {
      sign = "";
      inHeading = false;
    },
    row() {
      begin("", 1);
      rowStart = parts.length;
    },
    cell() {
      if (parts.length === rowStart) return;
      breaks = 0;
      sign = " | ";
    },
    finish: () => parts.join("").trim(),
  };
}
