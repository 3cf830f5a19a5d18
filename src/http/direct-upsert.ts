import { plainPostTo } from "./plain-post.ts";
import { readJson } from "./read-body.ts";
import type { DocumentRouteDeps } from "./routes/documents.ts";
import { targetOf } from "./request-target.ts";
import { upsertOnce } from "./upsert-once.ts";

/** Answers a request that writes documents by JSON alone, and gives undefined for any other. */
export type DirectUpsert = (request: Request) => Promise<Response> | undefined;

const nameIn = plainPostTo("documents");

/**
 * The way of most writes, without the framework around it, which is an eighth of what a document costs here. Streams, keys
 * and waiting are left to the app.
 */
export function createDirectUpsert(deps: DocumentRouteDeps): DirectUpsert {
  return (request) => {
    const collection = collectionOf(request);
    return collection === undefined ? undefined : upsert(deps, request, collection);
  };
}

async function upsert(
  deps: DocumentRouteDeps,
  request: Request,
  collectionName: string,
): Promise<Response> {
  const body = await readJson(request);
  const collection = await deps.collections.require(collectionName);
  return Response.json(await upsertOnce(deps, body, { collection, wait: false, key: undefined }));
}

function collectionOf(request: Request): string | undefined {
  const { method, headers } = request;
  // Before anything is taken apart: every request that is not an engine's comes by here.
  if (method !== "POST" || headers.has("idempotency-key")) return undefined;
  const { target } = targetOf(request);
  return nameIn({ method, target, contentType: headers.get("content-type") });
}
