import { Type } from "@sinclair/typebox";
import { limits } from "../limits.ts";

/** OpenAI's shapes, https://platform.openai.com/docs/api-reference/embeddings (fields that make no sense here are accepted and ignored). */
export const EmbeddingsRequestSchema = Type.Object(
  {
    model: Type.String(),
    input: Type.Union([
      Type.String(),
      Type.Array(Type.String(), { minItems: 1, maxItems: limits.embeddingInputsMax }),
    ]),
    encoding_format: Type.Optional(Type.Union([Type.Literal("float"), Type.Literal("base64")])),
    dimensions: Type.Optional(Type.Integer({ minimum: 1 })),
    user: Type.Optional(Type.String()),
  },
  { additionalProperties: true },
);

export const EmbeddingsResponseSchema = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(
    Type.Object({
      object: Type.Literal("embedding"),
      index: Type.Integer(),
      embedding: Type.Union([Type.Array(Type.Number()), Type.String()]),
    }),
  ),
  model: Type.String(),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
});

export const ModelsResponseSchema = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(
    Type.Object({
      id: Type.String(),
      object: Type.Literal("model"),
      created: Type.Integer(),
      owned_by: Type.String(),
      dimensions: Type.Integer(),
      tokens_max: Type.Integer(),
      licence: Type.String(),
    }),
  ),
});
