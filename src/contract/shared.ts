import { Type, type TSchema } from "@sinclair/typebox";
import { limits } from "../limits.ts";

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
