import { Type, type Static } from "@sinclair/typebox";
import { limits } from "../limits.ts";
import { FusionSchema } from "./collections.ts";
import { JsonObjectSchema, NameSchema, QueryVectorInputSchema } from "./shared.ts";

const queryEncoderSchema = Type.Union(
  [Type.Literal("full"), Type.Literal("fast"), Type.Literal("rescored")],
  {
    description:
      "Who embeds the query of a collection embedded by all-MiniLM-L6-v2. full: the model itself, the default; fast: a small encoder into the same space, which takes microseconds and finds a little less, the default with prefix; rescored: fast finds 200 candidates and full ranks them",
  },
);

const modeSchema = Type.Union([
  Type.Literal("hybrid"),
  Type.Literal("semantic"),
  Type.Literal("keyword"),
]);

export const SearchSchema = Type.Object(
  {
    query: Type.Optional(Type.String({ description: "Words to search for" })),
    vector: Type.Optional(QueryVectorInputSchema),
    query_encoder: Type.Optional(queryEncoderSchema),
    mode: Type.Optional(modeSchema),
    k: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.kMax })),
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: limits.offsetMax })),
    filter: Type.Optional(JsonObjectSchema),
    fusion: Type.Optional(FusionSchema),
    min_score: Type.Optional(Type.Number()),
    group_by: Type.Optional(Type.Union([Type.Literal("document"), Type.Literal("chunk")])),
    highlight: Type.Optional(Type.Boolean()),
    fields: Type.Optional(
      Type.Array(
        Type.Union([Type.Literal("title"), Type.Literal("text"), Type.Literal("metadata")]),
        { maxItems: 3 },
      ),
    ),
    facets: Type.Optional(Type.Array(Type.String(), { maxItems: limits.facetFieldsMax })),
    explain: Type.Optional(Type.Boolean()),
    prefix: Type.Optional(
      Type.Boolean({ description: "The last word may be unfinished: search as you type" }),
    ),
    typo: Type.Optional(
      Type.Boolean({
        description:
          "Words of four letters or more may differ by one edit, of eight or more by two",
      }),
    ),
    min_sequence: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false, title: "Search" },
);
export type SearchRequest = Static<typeof SearchSchema>;
export type QueryEncoderChoice = Static<typeof queryEncoderSchema>;
export type SearchMode = Static<typeof modeSchema>;

/** The same by query string: the parts of a search that fit there. */
export const SearchQuerySchema = Type.Object({
  q: Type.String({ minLength: 1 }),
  query_encoder: Type.Optional(queryEncoderSchema),
  mode: Type.Optional(modeSchema),
  k: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.kMax })),
  offset: Type.Optional(Type.Integer({ minimum: 0, maximum: limits.offsetMax })),
  filter: Type.Optional(Type.String({ description: "A filter as JSON" })),
  min_score: Type.Optional(Type.Number()),
  highlight: Type.Optional(Type.Boolean()),
  explain: Type.Optional(Type.Boolean()),
  prefix: Type.Optional(Type.Boolean()),
  typo: Type.Optional(Type.Boolean()),
});

const nullableNumber = Type.Union([Type.Number(), Type.Null()]);

export const HitSchema = Type.Object(
  {
    id: Type.String(),
    chunk: Type.Optional(
      Type.Object({
        index: Type.Integer(),
        start: Type.Integer({ description: "UTF-16 code units into the document's text" }),
        end: Type.Integer(),
        heading: Type.Union([Type.String(), Type.Null()]),
      }),
    ),
    score: Type.Number({ description: "Of this mode and fusion; higher is better" }),
    scores: Type.Optional(
      Type.Object({
        semantic: nullableNumber,
        keyword: nullableNumber,
        semantic_share: Type.Number({ description: "What the semantic side adds to score" }),
        keyword_share: Type.Number({ description: "What the keyword side adds to score" }),
        semantic_rank: Type.Union([Type.Integer(), Type.Null()]),
        keyword_rank: Type.Union([Type.Integer(), Type.Null()]),
      }),
    ),
    title: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    text: Type.Optional(
      Type.Union([Type.String(), Type.Null()], { description: "The best chunk's text" }),
    ),
    highlights: Type.Array(
      Type.Object({
        field: Type.Union([Type.Literal("title"), Type.Literal("text")]),
        start: Type.Integer({ description: "UTF-16 code units into this hit's field" }),
        end: Type.Integer(),
      }),
    ),
    metadata: Type.Optional(JsonObjectSchema),
  },
  { title: "Hit" },
);
export type Hit = Static<typeof HitSchema>;

export const SearchResultSchema = Type.Object(
  {
    hits: Type.Array(HitSchema),
    total_estimate: Type.Optional(
      Type.Integer({
        description: "Documents that match the filter; in keyword mode, the words too",
      }),
    ),
    facets: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Array(Type.Object({ value: Type.Unknown(), count: Type.Integer() })),
      ),
    ),
    explain: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    degraded: Type.Optional(
      Type.Boolean({ description: "By words only: what searches by meaning is not available" }),
    ),
    took_ms: Type.Number(),
    model: Type.String(),
    sequence: Type.Integer(),
  },
  { title: "SearchResult" },
);
export type SearchResult = Static<typeof SearchResultSchema>;

export const MultiSearchSchema = Type.Object(
  {
    searches: Type.Array(
      Type.Composite([Type.Object({ collection: NameSchema }), SearchSchema], {
        additionalProperties: false,
      }),
      { minItems: 1, maxItems: limits.searchesPerRequestMax },
    ),
  },
  { additionalProperties: false },
);
export const MultiSearchResultSchema = Type.Object({ results: Type.Array(SearchResultSchema) });
