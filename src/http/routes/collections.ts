import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Collections } from "../../collections/collections.ts";
import {
  CollectionSchema,
  CreateCollectionSchema,
  PatchCollectionSchema,
} from "../../contract/collections.ts";
import { ListQuerySchema, NameSchema, pageOf } from "../../contract/shared.ts";
import { decodeCursor, pageLimit, toPage } from "../cursor.ts";

const params = Type.Object({ name: NameSchema });
const detail = { tags: ["Collections"] };
const noContent = { ...detail, responses: { 204: { description: "It is gone." } } };

/** Create, read, configure and drop collections. */
export const collectionRoutes = ({ collections }: { collections: Collections }) =>
  new Elysia({ name: "collection-routes", prefix: "/api/v1/collections" })
    .post("", async ({ body, status }) => status(201, await collections.create(body)), {
      parse: "json",
      body: CreateCollectionSchema,
      response: { 201: CollectionSchema },
      detail,
    })
    .get(
      "",
      async ({ query }) => {
        const limit = pageLimit(query.limit);
        const items = await collections.list({
          limit: limit + 1,
          after: decodeCursor(query.cursor),
        });
        return toPage(items, limit, (item) => item.name);
      },
      { query: ListQuerySchema, response: { 200: pageOf(CollectionSchema) }, detail },
    )
    .get(
      "/:name",
      async ({ params: { name } }) => collections.describe(await collections.require(name)),
      {
        params,
        response: { 200: CollectionSchema },
        detail,
      },
    )
    .patch(
      "/:name",
      async ({ params: { name }, body }) =>
        collections.setFusion(await collections.require(name), body.fusion),
      {
        params,
        parse: "json",
        body: PatchCollectionSchema,
        response: { 200: CollectionSchema },
        detail,
      },
    )
    .delete(
      "/:name",
      async ({ params: { name }, status }) => {
        await collections.drop(await collections.require(name));
        return status(204, undefined);
      },
      { params, detail: noContent },
    );
