import type { PostingSource, WordCount } from "./posting-list.ts";

/** One word of a query, in index form. */
export interface KeywordWord {
  form: string;
  /** The folded word before stemming, which a prefix is looked up by; the form where there is none. */
  letters?: string;
  /** Stands for all dictionary words that begin with the letters, too. */
  prefix?: boolean;
  /** How often the word counts, 1 if not given: for each of several words of one form. */
  weight?: number;
  /** Edits within which dictionary words count where the word itself is in no text. */
  distance?: 0 | 1 | 2;
}

/** The dictionary words that a word of a query stands for; of those in a chunk the one that scores best counts. */
export interface Expansion {
  forms: { form: string; weight: number }[];
  /** Chunks that have one of them, or a little more: one that has two is counted twice. */
  count: number;
}

/** Words that a prefix stands for, the most frequent first. */
const PREFIX_WORDS_MAX = 50;
/** Words that a misspelt one stands for, the nearest first. */
const NEAR_WORDS_MAX = 20;
/** Letters that a stem may have less than what was typed so far of its word. */
const SUFFIX_UNITS_MAX = 5;
/** A prefix shorter than this says nothing about the stem that it will have. */
const STEM_UNITS_MIN = 3;

/** Looks a word up in the dictionaries of all parts. */
export function expandWord(sources: readonly PostingSource[], word: KeywordWord): Expansion {
  const count = countIn(sources, word.form);
  if (word.prefix === true) {
    const begun = expandPrefix(sources, word);
    if (begun.length > 0) return expansion(begun.map((one) => ({ ...one, weight: 1 })));
  }
  if (count > 0) return { forms: [{ form: word.form, weight: 1 }], count };
  const { distance = 0 } = word;
  return distance > 0 ? expansion(expandNear(sources, word.form, distance)) : { forms: [], count };
}

function expansion(words: readonly (WordCount & { weight: number })[]): Expansion {
  return {
    forms: words.map(({ form, weight }) => ({ form, weight })),
    count: words.reduce((sum, { count }) => sum + count, 0),
  };
}

function expandPrefix(sources: readonly PostingSource[], word: KeywordWord): WordCount[] {
  const letters = word.letters ?? word.form;
  const forms = new Set<string>();
  for (const source of sources) {
    for (const { form } of source.beginning(letters, PREFIX_WORDS_MAX)) forms.add(form);
  }
  const begun = withCounts(sources, forms).toSorted(byCount).slice(0, PREFIX_WORDS_MAX);
  const own = { form: word.form, count: countIn(sources, word.form) };
  if (own.count > 0 && begun.every(({ form }) => form !== own.form)) begun.unshift(own);
  if (begun.length > 0) return begun;
  // "happine" is on its way to a word whose stem, "happi", is shorter than what is typed already.
  const least = Math.max(STEM_UNITS_MIN, letters.length - SUFFIX_UNITS_MAX);
  for (let length = letters.length - 1; length >= least; length--) {
    const form = letters.slice(0, length);
    const count = countIn(sources, form);
    if (count > 0) return [{ form, count }];
  }
  return [];
}

function expandNear(sources: readonly PostingSource[], form: string, distance: number) {
  const distances = new Map<string, number>();
  for (const source of sources) {
    for (const near of source.near(form, distance)) distances.set(near.form, near.distance);
  }
  const words = withCounts(sources, distances.keys()).map((word) => {
    // A word that differs by an edit counts half, by two a third: what was written comes before what was meant.
    return { ...word, weight: 1 / (1 + (distances.get(word.form) ?? distance)) };
  });
  return words.toSorted((a, b) => b.weight - a.weight || byCount(a, b)).slice(0, NEAR_WORDS_MAX);
}

function withCounts(sources: readonly PostingSource[], forms: Iterable<string>): WordCount[] {
  return Array.from(forms, (form) => ({ form, count: countIn(sources, form) }));
}

/** Chunks that have a word, over all parts. */
export function countIn(sources: readonly PostingSource[], form: string): number {
  let count = 0;
  for (const source of sources) count += source.count(form);
  return count;
}

function byCount(a: WordCount, b: WordCount): number {
  return b.count - a.count || (a.form < b.form ? -1 : Number(a.form > b.form));
}
