import { TypeCompiler } from "@sinclair/typebox/compiler";
import { NameSchema } from "../contract/shared.ts";

/** What of a request says where it goes and what it brings. */
interface Post {
  method: string;
  /** Path and query. */
  target: string;
  contentType: string | null;
}

const name = TypeCompiler.Compile(NameSchema);

/**
 * Reads the collection's name of a POST of JSON to `.../collections/:name/` and what follows, without a query or escapes;
 * undefined for any other request, which is the framework's to read.
 */
export function plainPostTo(what: "documents" | "search"): (post: Post) => string | undefined {
  const path = new RegExp(`^/api/v1/collections/([A-Za-z0-9._~-]+)/${what}$`);
  return ({ method, target, contentType }) => {
    if (method !== "POST" || contentType !== "application/json") return undefined;
    const collection = path.exec(target)?.[1];
    return collection !== undefined && name.Check(collection) ? collection : undefined;
  };
}
