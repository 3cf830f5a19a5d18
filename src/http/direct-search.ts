import { TypeCompiler } from "@sinclair/typebox/compiler";
import { SearchSchema, type SearchRequest, type SearchResult } from "../contract/search.ts";
import type { EngineRequest } from "../engine/calls.ts";
import { Problem } from "../problems.ts";
import type { CollectionRow } from "../store/store.ts";
import { plainPostTo } from "./plain-post.ts";
import { parseJson } from "./read-body.ts";
import type { SearchRouteDeps } from "./routes/search.ts";

/** Answers a request that is a good search, and gives undefined for any other. */
export type DirectSearch = (
  request: EngineRequest,
) => Promise<SearchResult | undefined> | undefined;

const collectionOf = plainPostTo("search");
const body = TypeCompiler.Compile(SearchSchema);

/**
 * The way of most requests, without the framework around it: a search of one collection by JSON. What is refused is left to
 * the app, which tells why. `accepts` leaves more to it.
 */
export function createDirectSearch(
  { collections, search }: SearchRouteDeps,
  accepts: (collection: CollectionRow, asked: SearchRequest) => boolean = () => true,
): DirectSearch {
  return async (request) => {
    const collection = collectionOf(request);
    if (collection === undefined || request.body === null) return undefined;
    try {
      const asked = parseJson(request.body);
      if (!body.Check(asked)) return undefined;
      const row = await collections.require(collection);
      if (!accepts(row, asked)) return undefined;
      return await search.search(row, asked, { degraded: request.degraded ?? false });
    } catch (error) {
      // Reading and searching change nothing, so that the app may do it again and say what is wrong.
      if (error instanceof Problem) return undefined;
      throw error;
    }
  };
}
