import { stemmer } from "stemmer";
import { limits } from "../limits.ts";

/**
 * English words that say how a sentence is built and not what it is about. Ranking by them costs most of a search, since
 * each matches nearly every text, and in a small collection they outweigh the words that matter.
 */
const STOP_WORDS = new Set(
  `a about after all also am an and any are as at be because been before being both but by can could did do does doing
  during each few for from further had has have having he her here hers him his how i if in into is it its itself just me
  more most my no nor not of off on once only or other our ours out over own s same she should so some such t than that
  the their theirs them then there these they this those through to too under until up very was we were what when where
  which while who whom why will with would you your yours`.split(/\s+/),
);

/** A run of letters, digits and marks: what the keyword index's tokenizer (unicode61) takes for a word. */
const WORD = /[\p{L}\p{N}\p{M}\p{Co}]+/gu;

/** Texts are read for words this far; a query past it has more words than are looked up anyway. */
const WORDS_READ_MAX = 512;

/** The distinct words of a query for the keyword index, in order, stop words left out where others remain. */
export function queryTerms(query: string): string[] {
  const words = new Set<string>();
  for (const [word] of query.matchAll(WORD)) {
    words.add(word.toLowerCase());
    if (words.size >= WORDS_READ_MAX) break;
  }
  const telling = [...words].filter((word) => !STOP_WORDS.has(word));
  return (telling.length > 0 ? telling : [...words]).slice(0, limits.keywordTermsMax);
}

/**
 * The form under which the keyword index knows a word: folded case, no diacritics, Porter's stem (M. F. Porter, "An
 * algorithm for suffix stripping", 1980), as FTS5's `porter unicode61 remove_diacritics 2`.
 */
export function indexForm(word: string): string {
  return stemmer(
    word
      .normalize("NFD")
      .replaceAll(/\p{M}+/gu, "")
      .toLowerCase(),
  );
}

/** Where a text has one of the words, in any of their forms; UTF-16 code units, half-open, in order. */
export function findTerms(
  text: string,
  forms: ReadonlySet<string>,
): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  for (const match of text.matchAll(WORD)) {
    if (forms.has(indexForm(match[0])))
      found.push({ start: match.index, end: match.index + match[0].length });
  }
  return found;
}
