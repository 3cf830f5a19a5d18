import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { CollectionReads } from "../../collections/collections.ts";
import { DocumentSchema } from "../../contract/documents.ts";
import { ListQuerySchema, NameSchema, pageOf } from "../../contract/shared.ts";
import type { DocumentReads } from "../../documents/documents.ts";
import { decodeCursor, pageLimit, toPage } from "../cursor.ts";
import { parseJsonText } from "../read-body.ts";

const params = Type.Object({ name: NameSchema });
const detail = { tags: ["Documents"] };

export interface DocumentListDeps {
  collections: CollectionReads;
  documents: Pick<DocumentReads, "list">;
}

/** Documents, page by page; a filter may read all of a collection. */
export const documentListRoutes = (deps: DocumentListDeps) =>
  new Elysia({ name: "document-list-routes", prefix: "/api/v1/collections/:name/documents" }).get(
    "",
    async ({ params: { name }, query }) => {
      const collection = await deps.collections.require(name);
      const limit = pageLimit(query.limit);
      const filter = query.filter === undefined ? undefined : parseJsonText(query.filter);
      const page = { filter, after: decodeCursor(query.cursor), limit: limit + 1 };
      return toPage(await deps.documents.list(collection, page), limit, (item) => item.id);
    },
    {
      params,
      query: Type.Composite([
        ListQuerySchema,
        Type.Object({ filter: Type.Optional(Type.String({ description: "A filter as JSON" })) }),
      ]),
      response: { 200: pageOf(DocumentSchema) },
      detail,
    },
  );
