import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import type { CollectionReads } from "../../collections/collections.ts";
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
import { scopeOf } from "../request-scope.ts";
import { parseJsonText } from "../read-body.ts";

const params = Type.Object({ name: NameSchema });
const detail = { tags: ["Search"] };

export interface SearchRouteDeps {
  collections: CollectionReads;
  search: Search;
}

/** Search one collection, by body or by query string, or several at once. */
export const searchRoutes = ({ collections, search }: SearchRouteDeps) =>
  new Elysia({ name: "search-routes", prefix: "/api/v1" })
    .post(
      "/collections/:name/search",
      async ({ params: { name }, body, request }) =>
        search.search(await collections.require(name), body, scopeOf(request)),
      { params, parse: "json", body: SearchSchema, response: { 200: SearchResultSchema }, detail },
    )
    .get(
      "/collections/:name/search",
      async ({ params: { name }, query: { q, filter, ...rest }, request }) => {
        const parsed = filter === undefined ? {} : { filter: filterOf(filter) };
        const asked = { query: q, ...rest, ...parsed };
        return search.search(await collections.require(name), asked, scopeOf(request));
      },
      { params, query: SearchQuerySchema, response: { 200: SearchResultSchema }, detail },
    )
    .post(
      "/search/multi",
      async ({ body, request }) => {
        const results = [];
        for (const { collection, ...asked } of body.searches) {
          const row = await collections.require(collection);
          results.push(await search.search(row, asked, scopeOf(request)));
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
