import { Type, type Static } from "@sinclair/typebox";
import { limits } from "../limits.ts";
import { NameSchema } from "./shared.ts";

/** How a document's text becomes chunks. Tokens are the collection's model's. */
export const ChunkingSchema = Type.Object(
  {
    strategy: Type.Union([Type.Literal("auto"), Type.Literal("none")], {
      description:
        "auto: by heading, paragraph and sentence; none: one chunk a document, of which the model reads the first tokens",
    }),
    tokens_max: Type.Integer({ minimum: 16, maximum: limits.chunkTokensMax }),
    tokens_overlap: Type.Integer({ minimum: 0, maximum: 128 }),
  },
  { additionalProperties: false },
);
export type Chunking = Static<typeof ChunkingSchema>;

/** How keyword and semantic scores become one. `weight` is the semantic share. */
export const FusionSchema = Type.Object(
  {
    method: Type.Union([Type.Literal("weighted"), Type.Literal("rrf")]),
    weight: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  },
  { additionalProperties: false },
);
export type Fusion = Static<typeof FusionSchema>;

/** Languages whose word endings are folded. */
export const KEYWORD_LANGUAGES = [
  "none",
  "arabic",
  "armenian",
  "bulgarian",
  "danish",
  "dutch",
  "english",
  "finnish",
  "french",
  "german",
  "greek",
  "hungarian",
  "indian",
  "indonesian",
  "irish",
  "italian",
  "lithuanian",
  "nepali",
  "norwegian",
  "portuguese",
  "romanian",
  "russian",
  "serbian",
  "spanish",
  "swedish",
  "tamil",
  "turkish",
  "ukrainian",
] as const;
export type KeywordLanguage = (typeof KEYWORD_LANGUAGES)[number];

/** How a collection's words are read and weighed; a change needs another collection. */
export const KeywordSettingsSchema = Type.Object(
  {
    language: Type.Unsafe<KeywordLanguage>(
      Type.Union(
        KEYWORD_LANGUAGES.map((language) => Type.Literal(language)),
        { description: "Whose word endings are folded; none takes words as they are" },
      ),
    ),
    stop_words: Type.Boolean({
      description: "Leave the commonest words of a query out where others remain; English only",
    }),
    title_weight: Type.Number({ minimum: 0, maximum: 100 }),
    text_weight: Type.Number({ minimum: 0, maximum: 100 }),
  },
  { additionalProperties: false },
);
export type KeywordSettings = Static<typeof KeywordSettingsSchema>;

/** How the graph of a vector index keeps its numbers; scores always come from float32. */
export const QuantizationSchema = Type.Union(
  [Type.Literal("f16"), Type.Literal("f32"), Type.Literal("i8")],
  {
    description:
      "Numbers of the vector graph; scores are of float32 whatever it is. i8, the default, is the smallest and the quickest, and fetches more candidates in return; f16 and f32 are larger",
  },
);
export type Quantization = Static<typeof QuantizationSchema>;

export const CreateCollectionSchema = Type.Object(
  {
    name: NameSchema,
    model: Type.Optional(
      Type.String({
        maxLength: 128,
        description: 'A model of GET /v1/models, or "none": vectors are the caller\'s',
      }),
    ),
    dimensions: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.dimensionsMax })),
    metric: Type.Optional(Type.Literal("cosine")),
    chunking: Type.Optional(Type.Partial(ChunkingSchema, { additionalProperties: false })),
    fusion: Type.Optional(FusionSchema),
    keyword: Type.Optional(Type.Partial(KeywordSettingsSchema, { additionalProperties: false })),
    quantization: Type.Optional(QuantizationSchema),
  },
  { additionalProperties: false },
);
export type CreateCollection = Static<typeof CreateCollectionSchema>;

/** Only what does not change stored chunks and vectors may change. */
export const PatchCollectionSchema = Type.Object(
  { fusion: Type.Optional(FusionSchema) },
  { additionalProperties: false },
);

export const CollectionSchema = Type.Object(
  {
    name: Type.String(),
    model: Type.String(),
    dimensions: Type.Integer(),
    metric: Type.Literal("cosine"),
    chunking: ChunkingSchema,
    fusion: Type.Required(FusionSchema),
    keyword: KeywordSettingsSchema,
    quantization: QuantizationSchema,
    documents: Type.Integer(),
    chunks: Type.Integer(),
    pending_embeddings: Type.Integer({
      description: "Chunks that keyword search sees and semantic search does not yet",
    }),
    weights_match: Type.Boolean({
      description:
        "False where vectors are of other weights than the model has: found by words only, until `reindex?embed=all` has made them anew",
    }),
    reclaimable_bytes: Type.Integer({
      description: "Bytes of index files that dead rows take; merging gives them back",
    }),
    segments: Type.Integer({ description: "Sealed index segments, of vectors and of words" }),
    index: Type.Object({
      unsealed: Type.Integer({ description: "Rows that are searched in memory" }),
      disk_bytes: Type.Integer(),
      memory_bytes: Type.Integer({ description: "Mapped files are not counted" }),
      building: Type.Boolean(),
      building_rows: Type.Integer({ description: "Rows that go into the segment being built" }),
      degraded: Type.Boolean({
        description: "A part is being made again from the database: a search may miss some of it",
      }),
    }),
    aliases: Type.Array(Type.String()),
    created_at: Type.String(),
    updated_at: Type.String(),
  },
  { title: "Collection" },
);
export type CollectionState = Static<typeof CollectionSchema>;

export const AliasSchema = Type.Object({ name: Type.String(), collection: Type.String() });
export const PutAliasSchema = Type.Object(
  { collection: NameSchema },
  { additionalProperties: false },
);
