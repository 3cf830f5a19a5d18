import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { Collections } from "../../collections/collections.ts";
import {
  MultiSearchResultSchema,
  MultiSearchSchema,
  SearchQuerySchema,
  SearchResultSchema,
  SearchSchema,
} from "../../contract/search.ts";
import { JsonObjectSchema, NameSchema } from "../../contract/shared.ts";
import { Value } from "@sinclair/typebox/value";
import { Problem } from "../../problems.ts";
import type { Search } from "../../search/search.ts";
import { parseJsonText } from "../read-body.ts";

const params = Type.Object({ name: NameSchema });
const detail = { tags: ["Search"] };

/** Search one collection, by body or by query string, or several at once. */
export const searchRoutes = ({
  collections,
  search,
}: {
  collections: Collections;
  search: Search;
}) =>
  new Elysia({ name: "search-routes", prefix: "/api/v1" })
    .post(
      "/collections/:name/search",
      async ({ params: { name }, body }) => search.search(await collections.require(name), body),
      { params, parse: "json", body: SearchSchema, response: { 200: SearchResultSchema }, detail },
    )
    .get(
      "/collections/:name/search",
      async ({ params: { name }, query: { q, filter, ...rest } }) => {
        const parsed = filter === undefined ? {} : { filter: filterOf(filter) };
        return search.search(await collections.require(name), { query: q, ...rest, ...parsed });
      },
      { params, query: SearchQuerySchema, response: { 200: SearchResultSchema }, detail },
    )
    .post(
      "/search/multi",
      async ({ body }) => {
        const results = [];
        for (const { collection, ...request } of body.searches) {
          results.push(await search.search(await collections.require(collection), request));
        }
        return { results };
      },
      {
        parse: "json",
        body: MultiSearchSchema,
        response: { 200: MultiSearchResultSchema },
        detail,
      },
    );

function filterOf(text: string): Record<string, unknown> {
  const value = parseJsonText(text);
  if (!Value.Check(JsonObjectSchema, value))
    throw new Problem("invalid_filter", "The filter must be a JSON object.");
  return value;
}
