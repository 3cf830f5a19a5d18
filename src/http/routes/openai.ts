import { Elysia } from "elysia";
import {
  EmbeddingsRequestSchema,
  EmbeddingsResponseSchema,
  ModelsResponseSchema,
} from "../../contract/embeddings.ts";
import { findModel, installedModels } from "../../engine/engine.ts";
import { utf8Bytes } from "../../lib/text.ts";
import { limits } from "../../limits.ts";
import { Problem } from "../../problems.ts";

const detail = { tags: ["OpenAI-compatible"] };

/** Embeds texts and counts their tokens, wherever the model is loaded. */
export type EmbedTexts = (
  model: string,
  texts: readonly string[],
) => Promise<{ vectors: (Float32Array | undefined)[]; tokens: number }>;

/** Embeddings and models in OpenAI's shapes, so that their clients work unchanged. */
export const openAiRoutes = ({ embedTexts }: { embedTexts: EmbedTexts }) =>
  new Elysia({ name: "openai-routes", prefix: "/v1" })
    .post(
      "/embeddings",
      async ({ body }) => {
        const model = findModel(body.model);
        if (body.dimensions !== undefined && body.dimensions !== model.dimensions) {
          throw new Problem(
            "dimensions_mismatch",
            `${model.name} has ${model.dimensions} dimensions.`,
            {
              errors: [{ field: "dimensions", message: `must be ${model.dimensions} or left out` }],
            },
          );
        }
        const texts = checkTexts(body.input);
        const { vectors, tokens } = await embedTexts(model.name, texts);
        const encode = body.encoding_format === "base64" ? toBase64 : toNumbers;
        const data = vectors.map((vector, index) => ({
          object: "embedding" as const,
          index,
          embedding: encode(known(vector, index)),
        }));
        return {
          object: "list" as const,
          data,
          model: model.name,
          usage: { prompt_tokens: tokens, total_tokens: tokens },
        };
      },
      {
        parse: "json",
        body: EmbeddingsRequestSchema,
        response: { 200: EmbeddingsResponseSchema },
        detail,
      },
    )
    .get(
      "/models",
      () => ({
        object: "list" as const,
        data: installedModels().map((model) => ({
          id: model.name,
          object: "model" as const,
          created: 0,
          owned_by: "slipstream",
          dimensions: model.dimensions,
          tokens_max: model.tokensMax,
          licence: model.licence,
        })),
      }),
      { response: { 200: ModelsResponseSchema }, detail },
    );

function checkTexts(input: string | string[]): string[] {
  const texts = typeof input === "string" ? [input] : input;
  for (const [index, text] of texts.entries()) {
    const errors = [{ field: `input[${index}]`, message: "cannot be embedded" }];
    if (text.trim() === "")
      throw new Problem("empty_text", `input[${index}] has no text.`, { errors });
    if (!text.isWellFormed())
      throw new Problem("invalid_text", `input[${index}] holds a lone surrogate.`, { errors });
    if (utf8Bytes(text) > limits.embeddingInputBytesMax) {
      throw new Problem(
        "too_large",
        `input[${index}] is larger than ${limits.embeddingInputBytesMax} bytes.`,
        { errors },
      );
    }
  }
  return texts;
}

function known(vector: Float32Array | undefined, index: number): Float32Array {
  if (vector === undefined)
    throw new Problem("empty_text", `The model knows no word of input[${index}].`);
  return vector;
}

function toNumbers(vector: Float32Array): number[] {
  return Array.from(vector);
}

/** float32, little endian, as OpenAI's. */
function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}
