import type { KeywordSettings } from "../contract/collections.ts";
import type { Analyser } from "../keyword/analyser.ts";
import { parseKeywordQuery, requiresPhrases } from "../keyword/parse-query.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { filterMatches } from "../store/filter-match.ts";
import { parseFieldPath, parseFilter, type Filter } from "../store/filter.ts";
import type { DocumentContent } from "../store/standing-store.ts";
import type { DocumentWords } from "./document-words.ts";
import { dotInOrder } from "./query-vectors.ts";
import type { StandingQuery } from "./standing-query.ts";

/** A standing query as the matcher has it. */
export interface PreparedQuery extends Omit<StandingQuery, "filter" | "fields"> {
  /** Unit length; undefined in keyword mode. */
  vector: Float32Array | undefined;
  /** Distinct words in their index form. */
  forms: readonly string[];
  phrases: readonly (readonly string[])[];
  filter: Filter | undefined;
  fields: MatchFields;
}

/** What a match carries. */
export interface MatchFields {
  /** The same for queries that ask for the same. */
  key: string;
  title: boolean;
  text: boolean;
  metadata: boolean;
  /** Parts of the metadata, where not all of it is asked for. */
  paths: readonly (readonly string[])[];
}

/** @throws Problem `empty_text` where nothing can match, `invalid_filter` */
export function prepareQuery(
  query: StandingQuery,
  vector: Float32Array | undefined,
  { analyser, keyword }: { analyser: Analyser; keyword: KeywordSettings },
): PreparedQuery {
  const { words, phrases } =
    query.mode === "semantic"
      ? { words: [], phrases: [] }
      : parseKeywordQuery(query.text, {
          analyser,
          termsMax: limits.keywordTermsMax,
          leaveOutStopWords: keyword.stop_words,
        });
  if (query.mode === "keyword" && words.length === 0) {
    throw new Problem("empty_text", "The query has no words.");
  }
  return {
    ...query,
    vector,
    forms: words.map(({ form }) => form),
    phrases: requiresPhrases(query.text) ? phrases : [],
    filter: query.filter === undefined ? undefined : parseFilter(query.filter),
    fields: fieldsOf(query.fields),
  };
}

function fieldsOf(names: readonly string[]): MatchFields {
  return {
    key: JSON.stringify(names),
    title: names.includes("title"),
    text: names.includes("text"),
    metadata: names.includes("metadata"),
    paths: names
      .filter((name) => name.startsWith("metadata."))
      .map((name) => parseFieldPath(name.slice("metadata.".length))),
  };
}

/** 0…1: the share of the query's words that the document has; 0 where a phrase of the query does not stand in it. */
export function shareOfWords({ forms, phrases }: PreparedQuery, words: DocumentWords): number {
  const found = forms.reduce((count, form) => count + Number(words.forms.has(form)), 0);
  return found > 0 && phrases.every((phrase) => words.hasPhrase(phrase)) ? found / forms.length : 0;
}

/** The score of a query's mode; `cosine` is undefined where the document has no vector. */
export function combine(
  { mode, weight }: Pick<PreparedQuery, "mode" | "weight">,
  { cosine, share }: { cosine: number | undefined; share: number },
): number | undefined {
  if (mode === "keyword") return share > 0 ? share : undefined;
  if (mode === "semantic") return cosine;
  return weight * (cosine ?? 0) + (1 - weight) * share;
}

/** A match of one document with one query. */
export interface Match {
  query: PreparedQuery;
  score: number;
  /** Place of the document's chunk with the best cosine; undefined where no vector was compared. */
  chunk: number | undefined;
}

/** What many queries look at in one document; each part is made once, when it is asked for. */
export interface OpenedDocument {
  readonly content: DocumentContent;
  readonly words: () => DocumentWords;
  readonly metadata: () => unknown;
}

/** One query against one document, by itself: what a lane finds for all of its queries at once. */
export function matchOne(query: PreparedQuery, document: OpenedDocument): Match | undefined {
  const { vector, mode } = query;
  const best = vector === undefined ? undefined : bestChunk(vector, document.content);
  const share = mode === "semantic" ? 0 : shareOfWords(query, document.words());
  const score = combine(query, { cosine: best?.score, share });
  if (score === undefined || score < query.minScore || !passes(query, document)) return undefined;
  return { query, score, chunk: best?.chunk };
}

/** Whether a document is among those that a query's filter lets through. */
export function passes({ filter }: PreparedQuery, document: OpenedDocument): boolean {
  return filter === undefined || filterMatches(filter, document.metadata());
}

function bestChunk(
  vector: Float32Array,
  { chunks }: DocumentContent,
): { score: number; chunk: number } | undefined {
  let best: { score: number; chunk: number } | undefined;
  for (const [chunk, one] of chunks.entries()) {
    if (one.vector === undefined) continue;
    const score = dotInOrder(vector, one.vector);
    if (best === undefined || score > best.score) best = { score, chunk };
  }
  return best;
}
