import type { Engine, Words } from "../engine/engine.ts";
import type { Analyser } from "../keyword/analyser.ts";
import { findSpans, type Span } from "../keyword/highlight.ts";
import { parseKeywordQuery, requiresPhrases } from "../keyword/parse-query.ts";
import { limits } from "../limits.ts";
import type { Filter } from "../store/filter.ts";
import type { CollectionRow, StoreRead } from "../store/store.ts";
import { withDocuments, type DocumentKeys } from "./document-keys.ts";
import { queryPhrases, queryTerms } from "./terms.ts";

/** A chunk with a query's words. `score` is BM25, higher is better. */
export interface WordMatch {
  chunkKey: number;
  documentKey: number;
  score: number;
}

export interface Scope {
  filter: Filter | undefined;
  /** Chunks that match the filter. */
  allowed: ReadonlySet<number> | undefined;
}

/** A query's words in one collection, whoever answers. */
export interface KeywordSide {
  /** The words that are looked for. */
  readonly terms: readonly string[];
  /** True where there is nothing to look for. */
  readonly empty: boolean;
  /** At most `limit` chunks, best first. */
  find(scope: Scope, limit: number): Promise<WordMatch[]>;
  /** Documents that match. */
  count(scope: Scope): Promise<number>;
  /** In how many chunks each word stands, how often it is asked for, and how many chunks there are. */
  frequencies(): Promise<{ chunks: number; words: { count: number; weight: number }[] }>;
  /** Where a text has what was looked for. */
  spans(text: string): Span[];
}

export interface KeywordOptions {
  prefix: boolean;
  typo: boolean;
}

export interface KeywordSideDeps {
  engine: Engine;
  store: StoreRead;
  documentKeys: DocumentKeys;
}

/** Reads a query for the collection's own index, or for the store's tables where these answer. */
export function keywordSideOf(
  { engine, store, documentKeys }: KeywordSideDeps,
  collection: CollectionRow,
  { query, ...options }: KeywordOptions & { query: string },
): KeywordSide {
  const words = engine.words(collection);
  const leaveOutStopWords = collection.keyword.stop_words;
  return words === undefined
    ? inTables(store, collection, { query, analyser: engine.analyser(collection), ...options })
    : inIndex({ store, documentKeys }, words, { query, leaveOutStopWords, ...options });
}

function inIndex(
  { store, documentKeys }: Pick<KeywordSideDeps, "store" | "documentKeys">,
  { index, analyser }: Words,
  { query: text, ...options }: KeywordOptions & { query: string; leaveOutStopWords: boolean },
): KeywordSide {
  const termsMax = limits.keywordTermsMax;
  const parsed = parseKeywordQuery(text, { analyser, termsMax, ...options });
  const phrases = requiresPhrases(text) ? parsed.phrases : [];
  const query = { words: parsed.words, phrases };
  let highlighted: { forms: ReadonlySet<string>; phrases: typeof query.phrases } | undefined;
  return {
    terms: query.words.map(({ letters, form }) => letters ?? form),
    empty: query.words.length === 0 && query.phrases.length === 0,
    async find(scope, limit) {
      const found = index.search({ query, k: limit, ...allowedIn(scope) });
      return withDocuments(found, documentKeys);
    },
    async count(scope) {
      const keys = index.matching(query, scope.allowed);
      return new Set((await store.documentsOfChunks(keys)).values()).size;
    },
    async frequencies() {
      const all = index.frequencies([]).chunks;
      const words = query.words.map((word) => {
        const stands = index.frequencies(index.expand(word)).counts;
        const count = stands.reduce((sum, one) => sum + one, 0);
        return { count: Math.min(all, count), weight: word.weight ?? 1 };
      });
      return { chunks: all, words };
    },
    spans(shown) {
      highlighted ??= {
        forms: new Set(query.words.flatMap((word) => [word.form, ...index.expand(word)])),
        phrases: query.phrases,
      };
      return findSpans(shown, highlighted, analyser);
    },
  };
}

function inTables(
  store: StoreRead,
  { key: collectionKey }: CollectionRow,
  { query, prefix, analyser }: KeywordOptions & { query: string; analyser: Analyser },
): KeywordSide {
  const phrases = requiresPhrases(query) ? queryPhrases(query) : [];
  const words = { terms: queryTerms(query), phrases, prefix };
  const forms = [...new Set(words.terms.map((term) => analyser.form(term)))];
  return {
    terms: words.terms,
    empty: words.terms.length === 0,
    find: (scope, limit) => store.keyword({ collectionKey, ...words, ...filterIn(scope), limit }),
    count: (scope) => store.countKeyword({ collectionKey, ...words, ...filterIn(scope) }),
    async frequencies() {
      const { chunks, counts } = await store.wordFrequencies(collectionKey, forms);
      return { chunks, words: counts.map((count) => ({ count, weight: 1 })) };
    },
    spans: (text) => findSpans(text, { forms: new Set(forms) }, analyser),
  };
}

function allowedIn({ allowed }: Scope): { allowed?: ReadonlySet<number> } {
  return allowed === undefined ? {} : { allowed };
}

function filterIn({ filter }: Scope): { filter?: Filter } {
  return filter === undefined ? {} : { filter };
}
