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
    documents: Type.Integer(),
    chunks: Type.Integer(),
    pending_embeddings: Type.Integer({
      description: "Chunks that keyword search sees and semantic search does not yet",
    }),
    reclaimable_bytes: Type.Integer(),
    segments: Type.Integer(),
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
