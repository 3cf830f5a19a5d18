import { Type, type Static } from "@sinclair/typebox";
import { limits } from "../limits.ts";
import { JsonObjectSchema, VectorInputSchema } from "./shared.ts";

/** A document as a caller sends it. */
export const DocumentInputSchema = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        minLength: 1,
        description: "Made by the server when missing; the same id replaces",
      }),
    ),
    title: Type.Optional(Type.String()),
    text: Type.Optional(Type.String()),
    metadata: Type.Optional(JsonObjectSchema),
    vector: Type.Optional(VectorInputSchema),
  },
  { additionalProperties: false, title: "DocumentInput" },
);
export type DocumentInput = Static<typeof DocumentInputSchema>;

/** Items are checked one by one, so that a wrong document costs its own line and not the request. */
export const UpsertDocumentsSchema = Type.Object(
  {
    documents: Type.Array(Type.Unknown({ description: "DocumentInput" }), {
      minItems: 1,
      maxItems: limits.documentsPerRequestMax,
    }),
  },
  { additionalProperties: false },
);

export const ItemErrorSchema = Type.Object({ code: Type.String(), detail: Type.String() });

export const ItemResultSchema = Type.Object({
  id: Type.Union([Type.String(), Type.Null()]),
  status: Type.Union([Type.Literal("created"), Type.Literal("replaced"), Type.Literal("failed")]),
  error: Type.Optional(ItemErrorSchema),
});
export type ItemResult = Static<typeof ItemResultSchema>;

export const UpsertResultSchema = Type.Object({
  upserted: Type.Integer(),
  sequence: Type.Integer({
    description: "Change number of the last document written: pass it to a search as min_sequence",
  }),
  items: Type.Array(ItemResultSchema),
  pending_embeddings: Type.Integer(),
});

export const DocumentSchema = Type.Object(
  {
    id: Type.String(),
    title: Type.Union([Type.String(), Type.Null()]),
    text: Type.Union([Type.String(), Type.Null()]),
    metadata: JsonObjectSchema,
    chunks: Type.Integer(),
    pending_embeddings: Type.Integer(),
    sequence: Type.Integer(),
    created_at: Type.String(),
    updated_at: Type.String(),
  },
  { title: "Document" },
);
export type DocumentState = Static<typeof DocumentSchema>;

export const DeleteDocumentsSchema = Type.Object(
  {
    ids: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        maxItems: limits.documentsPerRequestMax,
      }),
    ),
    filter: Type.Optional(JsonObjectSchema),
  },
  { additionalProperties: false },
);

export const DeleteResultSchema = Type.Object({
  deleted: Type.Integer(),
  sequence: Type.Integer(),
});
