import type { Analyser } from "./analyser.ts";
import type { KeywordWord } from "./expand.ts";
import type { KeywordQuery } from "./keyword-index.ts";
import { limits } from "../limits.ts";
import { stopWords } from "./stop-words.ts";

/** How a query's text is read. */
export interface ParseOptions {
  analyser: Analyser;
  /** The last word may be the beginning of one: search as you type. */
  prefix?: boolean;
  /** Words that are in no text stand for those that are nearly written so. */
  typo?: boolean;
  /** Leave the language's commonest words out where others remain; true if not given. */
  leaveOutStopWords?: boolean;
  /** Distinct words that are looked up; further ones are left out. */
  termsMax: number;
}

/** Words that are read of a query; one past it has more words than are looked up anyway. */
const WORDS_READ_MAX = 512;
/** Letters from which on a word may have one edit, and two. */
const ONE_EDIT_MIN = 4;
const TWO_EDITS_MIN = 8;

/**
 * The words and "quoted phrases" of a query. Words of a phrase count as words, too. Stop words are left out where other
 * words remain, but never out of a phrase.
 */
export function parseKeywordQuery(text: string, options: ParseOptions): KeywordQuery {
  const { analyser, termsMax } = options;
  const spans = phraseSpans(text);
  const phrases = spans.map(() => [] as string[]);
  const words: ReadWord[] = [];
  let span = 0;
  for (const { form, start, end } of analyser.tokens(text).slice(0, WORDS_READ_MAX)) {
    while (span < spans.length && start >= (spans[span]?.end ?? 0)) span++;
    const quoted = span < spans.length && start >= (spans[span]?.start ?? Infinity);
    if (quoted) phrases[span]?.push(form);
    words.push({ form, letters: analyser.fold(text.slice(start, end)), quoted });
  }
  const last = text.trimEnd().length === text.length ? words.at(-1) : undefined;
  const begun = options.prefix === true && last?.quoted === false ? last : undefined;
  const telling =
    options.leaveOutStopWords === false
      ? words
      : withoutStopWords(words, { begun, language: analyser.language });
  const distinct = new Map<string, KeywordWord>();
  for (const word of mostTelling(distinctOf(telling, begun), { begun, termsMax })) {
    const fresh = queryWord(word, begun, options);
    const known = distinct.get(word.form);
    // Who writes "index" and "indexing" means it more: as BM25's frequency of words in the query, so each counts.
    if (known === undefined) distinct.set(word.form, fresh);
    else distinct.set(word.form, { ...known, ...fresh, weight: (known.weight ?? 1) + 1 });
  }
  return {
    words: [...distinct.values()],
    phrases: phrases.filter((phrase) => phrase.length > 0),
  };
}

/**
 * Quotes in a short query mean that the words have to follow each other. In a longer text they are quotations: required,
 * they cost CISI's questions 2 points of nDCG@10.
 */
export function requiresPhrases(query: string): boolean {
  return query.split(/\s+/, limits.phraseQueryWordsMax + 1).length <= limits.phraseQueryWordsMax;
}

/** Each word once, whatever forms it shares with others; of equal ones the one that is being written. */
function distinctOf(words: readonly ReadWord[], begun: ReadWord | undefined): ReadWord[] {
  const distinct = new Map<string, ReadWord>();
  for (const word of words) {
    if (word === begun || !distinct.has(word.letters)) distinct.set(word.letters, word);
  }
  return [...distinct.values()];
}

interface ReadWord {
  form: string;
  letters: string;
  quoted: boolean;
}

/** What stands between straight or typographic double quotes; a quote without its other half is no quote. */
export function phraseSpans(text: string): { start: number; end: number }[] {
  return [...text.matchAll(/["“„][^"“”„]*["”“]/g)].map((found) => ({
    start: found.index,
    end: found.index + found[0].length,
  }));
}

function withoutStopWords(
  words: readonly ReadWord[],
  { begun, language }: { begun: ReadWord | undefined; language: string },
): readonly ReadWord[] {
  const stop = stopWords(language);
  // A word that is still being written may become another than the one it is now.
  const telling = words.filter((word) => word === begun || !stop.has(word.letters));
  return telling.length > 0 ? telling : words;
}

function queryWord(
  { form, letters, quoted }: ReadWord,
  begun: ReadWord | undefined,
  { typo }: ParseOptions,
): KeywordWord {
  const word: KeywordWord = { form, letters };
  if (begun?.letters === letters) word.prefix = true;
  if (typo === true && !quoted) {
    const length = Array.from(letters).length;
    if (length >= ONE_EDIT_MIN) word.distance = length >= TWO_EDITS_MIN ? 2 : 1;
  }
  return word;
}

/** The first so many words, but the one being written always among them. */
function mostTelling(
  words: readonly ReadWord[],
  { begun, termsMax }: { begun: ReadWord | undefined; termsMax: number },
): readonly ReadWord[] {
  if (words.length <= termsMax || termsMax === 0) return words.slice(0, termsMax);
  return begun === undefined
    ? words.slice(0, termsMax)
    : [...words.slice(0, termsMax - 1), words.find((word) => word === begun) ?? begun];
}
