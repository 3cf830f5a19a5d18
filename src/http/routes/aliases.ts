import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Collections } from "../../collections/collections.ts";
import { AliasSchema, PutAliasSchema } from "../../contract/collections.ts";
import { ListQuerySchema, NameSchema, pageOf } from "../../contract/shared.ts";
import { decodeCursor, pageLimit, toPage } from "../cursor.ts";

const params = Type.Object({ name: NameSchema });
const detail = { tags: ["Aliases"] };
const noContent = { ...detail, responses: { 204: { description: "It is gone." } } };

/** Other names for collections, swapped in one step. */
export const aliasRoutes = ({ collections }: { collections: Collections }) =>
  new Elysia({ name: "alias-routes", prefix: "/api/v1/aliases" })
    .get(
      "",
      async ({ query }) => {
        const limit = pageLimit(query.limit);
        const after = decodeCursor(query.cursor);
        const items = (await collections.aliases()).filter((alias) => alias.name > after);
        return toPage(items, limit, (item) => item.name);
      },
      { query: ListQuerySchema, response: { 200: pageOf(AliasSchema) }, detail },
    )
    .put(
      "/:name",
      async ({ params: { name }, body }) => collections.putAlias(name, body.collection),
      {
        params,
        parse: "json",
        body: PutAliasSchema,
        response: { 200: AliasSchema },
        detail,
      },
    )
    .delete(
      "/:name",
      async ({ params: { name }, status }) => {
        await collections.removeAlias(name);
        return status(204, undefined);
      },
      { params, detail: noContent },
    );
