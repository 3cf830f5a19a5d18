import type { Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { CollectionSchema, type CollectionState } from "../contract/collections.ts";
import { pageOf } from "../contract/shared.ts";
import { withTarget } from "./command-context.ts";
import { printResult } from "./output.ts";
import { jsonBody, readAnswer, type Target } from "./target.ts";

const page = pageOf(CollectionSchema);

/** Every collection there is. */
export async function readCollections(target: Target): Promise<CollectionState[]> {
  const items: CollectionState[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const next: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const response: Response = await target.call(`/api/v1/collections?limit=1000${next}`);
    const answer: Static<typeof page> = Value.Parse(page, await readAnswer(response));
    items.push(...answer.items);
    cursor = answer.next_cursor;
  }
  return items;
}

/** One line a collection. */
export async function listCommand({ json }: { json?: boolean }): Promise<void> {
  const items = await withTarget(readCollections);
  if (json) printResult(JSON.stringify(items));
  else for (const item of items) printResult(describe(item));
}

/** @throws ApiError where the server refuses it */
export async function createCommand(
  name: string,
  { model, dimensions }: { model?: string; dimensions?: string },
): Promise<void> {
  const body = {
    name,
    model,
    ...(dimensions === undefined ? {} : { dimensions: Number(dimensions) }),
  };
  const created = await withTarget(async (target) =>
    readAnswer(await target.call("/api/v1/collections", jsonBody("POST", body))),
  );
  printResult(describe(Value.Parse(CollectionSchema, created)));
}

/** @throws ApiError where there is none */
export async function deleteCommand(name: string): Promise<void> {
  await withTarget(async (target) =>
    readAnswer(
      await target.call(`/api/v1/collections/${encodeURIComponent(name)}`, { method: "DELETE" }),
    ),
  );
  printResult(`${name} is deleted.`);
}

function describe({
  name,
  model,
  documents,
  chunks,
  pending_embeddings,
  weights_match,
  aliases,
}: CollectionState): string {
  const pending = pending_embeddings > 0 ? `  ${pending_embeddings} waiting to be embedded` : "";
  const weights = weights_match ? "" : "  embedded by other weights: slipstream reindex --embed";
  const also = aliases.length > 0 ? `  also ${aliases.join(", ")}` : "";
  return `${name}  ${model}  ${documents} documents  ${chunks} chunks${pending}${weights}${also}`;
}
