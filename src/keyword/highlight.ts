import type { Analyser, Token } from "./analyser.ts";

/** What to show of a query in a text, in index forms: its words with what they stand for, and its phrases. */
export interface Highlighted {
  forms: ReadonlySet<string>;
  phrases?: readonly (readonly string[])[];
}

/** A place in a text; UTF-16 code units, half-open. */
export interface Span {
  start: number;
  end: number;
}

/** Where a text has one of the words, in any of their forms, or a phrase as a whole; in order, without overlaps. */
export function findSpans(
  text: string,
  { forms, phrases = [] }: Highlighted,
  analyser: Analyser,
): Span[] {
  if (phrases.length === 0) {
    const found: Span[] = [];
    analyser.scan(text, (form, start, end) => {
      if (forms.has(form)) found.push({ start, end });
    });
    return found;
  }
  return spansOf(analyser.tokens(text), { forms, phrases });
}

function spansOf(
  tokens: readonly Token[],
  { forms, phrases }: { forms: ReadonlySet<string>; phrases: readonly (readonly string[])[] },
): Span[] {
  const found: Span[] = [];
  for (let at = 0; at < tokens.length;) {
    const token = tokens[at];
    const longest = Math.max(0, ...phrases.map((phrase) => lengthAt(tokens, at, phrase)));
    const last = tokens[at + Math.max(1, longest) - 1];
    if (token !== undefined && last !== undefined && (longest > 0 || forms.has(token.form))) {
      found.push({ start: token.start, end: last.end });
    }
    at += Math.max(1, longest);
  }
  return found;
}

/** Words of a phrase if it stands at a place, else 0. */
function lengthAt(tokens: readonly Token[], at: number, phrase: readonly string[]): number {
  return phrase.every((form, offset) => tokens[at + offset]?.form === form) ? phrase.length : 0;
}
