/** Usual length of a slice, in UTF-16 units: some 200 tokens of English, so a window of 256 is filled by one or two. */
const SLICE_CHARS = 1024;
/** Longest stretch without a border that is looked at. A word is unknown from its 101st character on, so the rest changes nothing. */
const STRETCH_CHARS_MAX = 4096;

const SPACES = " \\t\\n\\r\\u3000";
/**
 * Characters after which a BERT text may be cut without changing a token. White space, CJK ideographs and punctuation end a
 * word. Left out on purpose: `[`, which begins the name of a special token; `'`, `.`, `:`, `^` and the backtick, through
 * which the lower case of a final sigma looks at the next letter; U+FEFF and vertical tabs, which the tokenizer deletes.
 */
const BORDER = new RegExp(
  `[${SPACES},;!?(){}\\]"/\\\\|<>=+*&%$#@~_\\-\\u3001\\u3002\\uff01\\uff0c\\uff1f\\u3400-\\u4dbf\\u4e00-\\u9fff]`,
);
const NEXT_BORDER = new RegExp(BORDER.source, "g");
const NEXT_WORD = new RegExp(`[^${SPACES}]`, "g");

/**
 * A text in pieces whose tokens, one piece after the other, are the tokens of the whole: so the first tokens of a book
 * cost no more than those of a page. White space between pieces is skipped. A stretch of more than 4,096 characters
 * with no border is one piece of which only the beginning is given.
 */
export function* textSlices(text: string): Generator<string, void> {
  let start = indexFrom(text, NEXT_WORD, 0);
  while (start < text.length) {
    const { end, next } = sliceAt(text, start);
    yield text.slice(start, end);
    start = indexFrom(text, NEXT_WORD, next);
  }
}

/** Where the slice that begins at `start` ends, and where the search for the next one begins. */
function sliceAt(text: string, start: number): { end: number; next: number } {
  const aim = start + SLICE_CHARS;
  if (aim >= text.length) return { end: text.length, next: text.length };
  for (let index = aim - 1; index > start; index--) {
    if (BORDER.test(text.charAt(index))) return { end: index + 1, next: index + 1 };
  }
  const border = indexFrom(text, NEXT_BORDER, aim);
  if (border - start >= STRETCH_CHARS_MAX) return { end: start + STRETCH_CHARS_MAX, next: border };
  const end = Math.min(border + 1, text.length);
  return { end, next: end };
}

/** Index of the first match of a global pattern at or after `start`; the text's length if there is none. */
function indexFrom(text: string, pattern: RegExp, start: number): number {
  pattern.lastIndex = start;
  return pattern.exec(text)?.index ?? text.length;
}
