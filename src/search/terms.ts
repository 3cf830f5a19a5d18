import { phraseSpans } from "../keyword/parse-query.ts";
import { stopWords } from "../keyword/stop-words.ts";
import { limits } from "../limits.ts";

/** A run of letters, digits and marks: what the store's full-text tables (unicode61) take for a word. */
const WORD = /[\p{L}\p{N}\p{M}\p{Co}]+/gu;

/** Texts are read for words this far; a query past it has more words than are looked up anyway. */
const WORDS_READ_MAX = 512;

/** The distinct words of a query for the store's tables, in order, English stop words left out where others remain. */
export function queryTerms(query: string): string[] {
  const words = new Set<string>();
  for (const [word] of query.matchAll(WORD)) {
    words.add(word.toLowerCase());
    if (words.size >= WORDS_READ_MAX) break;
  }
  const stop = stopWords("english");
  const telling = [...words].filter((word) => !stop.has(word));
  return (telling.length > 0 ? telling : [...words]).slice(0, limits.keywordTermsMax);
}

/** What stands between double quotes: its words have to follow each other. */
export function queryPhrases(query: string): string[] {
  const quoted = phraseSpans(query).map(({ start, end }) => query.slice(start + 1, end - 1));
  return quoted.filter((phrase) => phrase.search(WORD) >= 0).slice(0, limits.keywordTermsMax);
}
