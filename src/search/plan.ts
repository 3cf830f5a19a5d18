import type { Fusion } from "../contract/collections.ts";
import type { QueryEncoderChoice, SearchMode, SearchRequest } from "../contract/search.ts";
import { checkVector } from "../engine/check-vector.ts";
import { NO_MODEL, type Engine } from "../engine/engine.ts";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { parseFieldPath, parseFilter, type Filter } from "../store/filter.ts";
import type { CollectionRow } from "../store/store.ts";
import type { GroupBy } from "./sides.ts";
import { keywordSideOf, type KeywordSide, type KeywordSideDeps } from "./keyword-side.ts";

export interface SearchDeps extends KeywordSideDeps {
  /** Hits of a search that does not say. */
  kDefault: number;
}

/** A search, checked, with every default filled in. */
export interface SearchPlan {
  collection: CollectionRow;
  mode: SearchMode;
  /** The query's words for the model; empty in a search by vector alone. */
  query: string;
  keyword: KeywordSide | undefined;
  encoder: QueryEncoderChoice;
  /** The caller's vector, unit length. */
  vector: Float32Array | undefined;
  k: number;
  offset: number;
  filter: Filter | undefined;
  fusion: Required<Fusion>;
  minScore: number;
  groupBy: GroupBy;
  highlight: boolean;
  fields: ReadonlySet<"title" | "text" | "metadata">;
  facets: readonly { name: string; path: readonly string[] }[];
  explain: boolean;
}

/**
 * Checks a search. @throws Problem `empty_text`, `invalid_text`, `too_large`, `invalid_filter`, `vector_required`,
 * `vector_not_accepted`, `dimensions_mismatch`, `invalid_vector`, `invalid_request`
 */
export function planSearch(
  request: SearchRequest,
  collection: CollectionRow,
  options: SearchDeps,
): SearchPlan {
  const query = checkQuery(request.query);
  const vector =
    request.vector === undefined ? undefined : callersVector(request.vector, collection);
  const mode = request.mode ?? defaultMode(collection, { query, vector });
  checkMode(mode, { query, vector, collection });
  const encoder = encoderOf(request, collection, options.engine);
  return {
    collection,
    mode,
    query,
    keyword:
      mode === "semantic"
        ? undefined
        : keywordSideOf(options, collection, {
            query,
            prefix: request.prefix ?? false,
            typo: request.typo ?? false,
          }),
    vector,
    encoder,
    k: request.k ?? options.kDefault,
    offset: request.offset ?? 0,
    filter: request.filter === undefined ? undefined : parseFilter(request.filter),
    fusion: { ...fusionFor(encoder, collection.fusion), ...request.fusion },
    minScore: request.min_score ?? -Infinity,
    groupBy: request.group_by ?? "document",
    highlight: request.highlight ?? false,
    fields: new Set(request.fields ?? ["title", "text", "metadata"]),
    facets: (request.facets ?? []).map((name) => ({ name, path: parseFieldPath(name) })),
    explain: request.explain ?? false,
  };
}

function checkQuery(query: string | undefined): string {
  if (query === undefined) return "";
  if (query.length > limits.queryBytesMax || utf8Bytes(query) > limits.queryBytesMax) {
    throw new Problem("too_large", `The query is larger than ${limits.queryBytesMax} bytes.`);
  }
  if (!query.isWellFormed()) throw new Problem("invalid_text", "The query holds a lone surrogate.");
  if (query.trim() === "") throw new Problem("empty_text", "The query has no words.");
  return query;
}

/** Who types is shown something at once, and what is found last is what counts. */
function encoderOf(
  { query_encoder, prefix }: SearchRequest,
  collection: CollectionRow,
  engine: Engine,
): QueryEncoderChoice {
  const hasFast = engine.hasFastQueries(collection);
  if (query_encoder === undefined) return prefix === true && hasFast ? "fast" : "full";
  if (query_encoder === "full" || hasFast) return query_encoder;
  throw new Problem("invalid_request", `${collection.model} has no fast query encoder.`, {
    errors: [{ field: "/query_encoder", message: "must be full for this collection's model" }],
  });
}

/** How much more a fast query's ranking leans on meaning: nothing at weights 0 and 1, and 0.05 at 0.5 (measured). */
const FAST_LEAN = 0.2;

/** The collection's own way to merge; what a request says itself is taken as it is. */
function fusionFor(encoder: QueryEncoderChoice, fusion: Required<Fusion>): Required<Fusion> {
  const { method, weight } = fusion;
  if (encoder !== "fast" || method !== "weighted") return fusion;
  return { method, weight: weight + FAST_LEAN * weight * (1 - weight) };
}

function callersVector(given: readonly number[] | string, collection: CollectionRow): Float32Array {
  if (collection.model !== NO_MODEL) {
    throw new Problem(
      "vector_not_accepted",
      `${collection.model} embeds the query; send its text.`,
    );
  }
  return checkVector(given, collection.dimensions);
}

/** What can be asked with what came: a collection without a model has meaning only where a vector is given. */
function defaultMode(
  { model }: CollectionRow,
  { query, vector }: { query: string; vector: Float32Array | undefined },
): SearchMode {
  if (query === "") return "semantic";
  return model === NO_MODEL && vector === undefined ? "keyword" : "hybrid";
}

function checkMode(
  mode: SearchMode,
  {
    query,
    vector,
    collection,
  }: { query: string; vector: Float32Array | undefined; collection: CollectionRow },
): void {
  if (mode !== "keyword" && collection.model === NO_MODEL && vector === undefined) {
    throw new Problem("vector_required", "Give the query's vector, or search in keyword mode.");
  }
  if (query === "" && (mode !== "semantic" || vector === undefined)) {
    throw new Problem("empty_text", "The search has no query.");
  }
}
