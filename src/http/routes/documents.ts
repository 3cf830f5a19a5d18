import { Type, type Static, type TSchema } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Collections } from "../../collections/collections.ts";
import {
  DeleteDocumentsSchema,
  DeleteResultSchema,
  DocumentInputSchema,
  DocumentSchema,
  UpsertResultSchema,
} from "../../contract/documents.ts";
import { NameSchema } from "../../contract/shared.ts";
import { Problem } from "../../problems.ts";
import type { CollectionRow } from "../../store/store.ts";
import { isNdjson } from "../ndjson.ts";
import { scopeOf } from "../request-scope.ts";
import { upsertOnce, type UpsertDeps } from "../upsert-once.ts";
import { upsertStream } from "../upsert-stream.ts";

const params = Type.Object({ name: NameSchema });
const documentParams = Type.Object({ name: NameSchema, id: Type.String({ minLength: 1 }) });
const detail = { tags: ["Documents"] };
const noContent = { ...detail, responses: { 204: { description: "It is gone." } } };
/** Written by hand, since one path takes a JSON body and a stream, and only one of them has a schema to be parsed by. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TypeBox schema is a JSON Schema, and so an OpenAPI one; the two packages' types do not know of each other
const asOpenApi = (schema: TSchema) => schema as unknown as { type: "object" };
const upsertDetail = {
  ...detail,
  requestBody: {
    required: true,
    content: {
      "application/json": {
        schema: asOpenApi(Type.Object({ documents: Type.Array(DocumentInputSchema) })),
      },
      "application/x-ndjson": { schema: asOpenApi(DocumentInputSchema) },
    },
  },
  description:
    "Writes documents; the same id replaces. With Content-Type application/x-ndjson the body is any number of documents, one a line, and the answer one result a line.",
};
const WaitSchema = Type.Object({
  wait: Type.Optional(
    Type.Literal("indexed", { description: "Answer when the vectors are searchable" }),
  ),
});

export interface DocumentRouteDeps extends UpsertDeps {
  collections: Collections;
}

/** The write path and plain reads of documents. */
export const documentRoutes = (deps: DocumentRouteDeps) =>
  new Elysia({ name: "document-routes", prefix: "/api/v1/collections/:name/documents" })
    .post(
      "",
      async ({ params: { name }, query: { wait }, body, request }) => {
        const collection = await deps.collections.require(name);
        const options = { wait: wait === "indexed", key: keyOf(deps, request, collection) };
        if (options.wait) scopeOf(request).keepOpen();
        if (isNdjson(request)) return upsertStream(deps, request, { ...options, collection });
        return Response.json(await upsertOnce(deps, body, { ...options, collection }));
      },
      {
        params,
        query: WaitSchema,
        response: { 200: UpsertResultSchema },
        detail: upsertDetail,
      },
    )
    .get(
      "/:id",
      async ({ params: { name, id } }) =>
        deps.documents.get(await deps.collections.require(name), id),
      { params: documentParams, response: { 200: DocumentSchema }, detail },
    )
    .delete(
      "/:id",
      async ({ params: { name, id }, status }) => {
        await deps.documents.delete(await deps.collections.require(name), id);
        return status(204, undefined);
      },
      { params: documentParams, detail: noContent },
    )
    .post(
      "/delete",
      async ({ params: { name }, body }) =>
        deleteMany(deps, await deps.collections.require(name), body),
      {
        params,
        parse: "json",
        body: DeleteDocumentsSchema,
        response: { 200: DeleteResultSchema },
        detail,
      },
    );

async function deleteMany(
  { documents }: DocumentRouteDeps,
  collection: CollectionRow,
  { ids, filter }: Static<typeof DeleteDocumentsSchema>,
) {
  if ((ids === undefined) === (filter === undefined)) {
    throw new Problem("invalid_request", "Give either ids or a filter.");
  }
  const deleted =
    ids === undefined
      ? await documents.deleteMatching(collection, filter)
      : await documents.deleteIds(collection, ids);
  return { deleted, sequence: documents.sequence() };
}

function keyOf(
  { idempotency }: DocumentRouteDeps,
  request: Request,
  collection: CollectionRow,
): string | undefined {
  const header = request.headers.get("idempotency-key");
  return header === null ? undefined : idempotency.key(header, `documents:${collection.key}`);
}
