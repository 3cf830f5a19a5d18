import { Type, type ArrayOptions, type TSchema } from "@sinclair/typebox";
import { SetErrorFunction } from "@sinclair/typebox/errors";
import { limits } from "../limits.ts";
import { errorMessage } from "./error-message.ts";

// TypeBox has one such function for all schemas; all of ours come past here.
SetErrorFunction(errorMessage);

/** A wrong field of a request. */
export const FieldErrorSchema = Type.Object({ field: Type.String(), message: Type.String() });

/** RFC 9457 problem details, the body of every error. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "Path of the problem's page" }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String({ description: "The request's id" }),
    code: Type.String(),
    request_id: Type.String(),
    errors: Type.Array(FieldErrorSchema),
  },
  { title: "Problem" },
);

/** Query of every list. */
export const ListQuerySchema = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.listLimitMax })),
  cursor: Type.Optional(Type.String({ maxLength: 4096 })),
});

/** A page of a list: `next_cursor` is null on the last one. */
export function pageOf<T extends TSchema>(item: T) {
  return Type.Object({
    items: Type.Array(item),
    next_cursor: Type.Union([Type.String(), Type.Null()]),
  });
}

/** Name of a collection or alias. */
export const NameSchema = Type.String({
  pattern: `^[A-Za-z0-9][A-Za-z0-9._-]{0,${limits.collectionNameBytesMax - 1}}$`,
  description: "1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit",
});

/** Metadata of a document, or a filter over it: any JSON object. */
export const JsonObjectSchema = Type.Record(Type.String(), Type.Unknown());

/** Of the longest vector: base64 has four characters for every three bytes begun. */
const vectorCharactersMax =
  Math.ceil((limits.dimensionsMax * Float32Array.BYTES_PER_ELEMENT) / 3) * 4;

/** A caller's own vector, as numbers or as the string that OpenAI's `encoding_format: "base64"` gives. */
function vectorInput(numbers: ArrayOptions) {
  return Type.Union(
    [
      Type.Array(Type.Number(), {
        ...numbers,
        maxItems: limits.dimensionsMax,
        description: "an array of numbers",
      }),
      Type.String({
        maxLength: vectorCharactersMax,
        contentEncoding: "base64",
        description: "base64 of little-endian float32",
      }),
    ],
    { description: 'Only in collections with model "none"' },
  );
}

/** A document's vector. One without numbers is refused as every other one of a wrong length, by its number of dimensions. */
export const VectorInputSchema = vectorInput({});

/** A search's vector. */
export const QueryVectorInputSchema = vectorInput({ minItems: 1 });
