/**
 * English words that say how a sentence is built and not what it is about. Ranking by them costs most of a search, since
 * each matches nearly every text, and in a small collection they outweigh the words that matter.
 */
const ENGLISH = new Set(
  `a about after all also am an and any are as at be because been before being both but by can could did do does doing
  during each few for from further had has have having he her here hers him his how i if in into is it its itself just me
  more most my no nor not of off on once only or other our ours out over own s same she should so some such t than that
  the their theirs them then there these they this those through to too under until up very was we were what when where
  which while who whom why will with would you your yours`.split(/\s+/),
);

const NONE: ReadonlySet<string> = new Set();

/** The folded words of a language that a query can do without; empty where none are known. */
export function stopWords(language: string): ReadonlySet<string> {
  return language === "english" ? ENGLISH : NONE;
}
