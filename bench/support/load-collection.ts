import { Value } from "@sinclair/typebox/value";
import { CollectionSchema } from "../../src/contract/collections.ts";
import { jsonVector, metadataOf, rowVector } from "../peers/vectors.ts";
import type { Passage } from "./load-passages.ts";
import { callJson, post } from "./server.ts";
import type { Rows } from "./vector-parts.ts";

/** Documents of a request: with vectors of 384 numbers 2.5 MB, a third of what a request may have. */
const DOCUMENTS_PER_REQUEST = 500;
/** How long nothing may be under way in an index before it counts as settled. */
const QUIET_MS = 1000;
const SETTLE_MS_MAX = 600_000;

/** A collection on a server that listens. */
export interface CollectionAt {
  url: string;
  name: string;
}

const pathOf = ({ url, name }: CollectionAt): string => `${url}/api/v1/collections/${name}`;

/** Where a collection is searched. */
export function searchUrl(collection: CollectionAt): string {
  return `${pathOf(collection)}/search`;
}

/** Creates a collection for a model of the server's, or for vectors of the caller's own. */
export async function createCollection(
  { url, name }: CollectionAt,
  facts: { model: string; dimensions?: number },
): Promise<void> {
  await callJson(`${url}/api/v1/collections`, post({ name, ...facts }));
}

/** Creates a collection for vectors of the caller's own and writes rows into it, one request after the other. */
export async function fillVectors(collection: CollectionAt, rows: Rows): Promise<void> {
  await createCollection(collection, { model: "none", dimensions: rows.dimensions });
  for (let start = 0; start < rows.keys.length; start += DOCUMENTS_PER_REQUEST) {
    const documents = rows.keys.slice(start, start + DOCUMENTS_PER_REQUEST).map((row) => ({
      id: `d${row}`,
      metadata: metadataOf(row),
      vector: jsonVector(rowVector(rows, row)),
    }));
    await writeDocuments(collection, documents);
  }
}

/** Creates a collection for a model of the server's and writes passages; resolves when all are embedded. */
export async function fillPassages(
  collection: CollectionAt,
  model: string,
  passages: readonly Passage[],
): Promise<void> {
  await createCollection(collection, { model });
  for (let start = 0; start < passages.length; start += DOCUMENTS_PER_REQUEST) {
    await writeDocuments(collection, passages.slice(start, start + DOCUMENTS_PER_REQUEST));
  }
  for (const from = performance.now(); (await stateOf(collection)).pending_embeddings > 0;) {
    if (performance.now() - from > SETTLE_MS_MAX) throw new Error("passages are not embedded");
    await Bun.sleep(20);
  }
}

/** Writes documents in one request. @throws Error where one was refused */
export async function writeDocuments(
  collection: CollectionAt,
  documents: readonly object[],
): Promise<void> {
  const answer = await callJson(`${pathOf(collection)}/documents`, post({ documents }));
  if (!Bun.deepMatch({ upserted: documents.length }, answer)) {
    throw new Error(`not stored: ${JSON.stringify(answer).slice(0, 500)}`);
  }
}

/** Resolves when everything is in sealed segments and nothing is built any more. */
export async function settle(collection: CollectionAt): Promise<void> {
  await callJson(`${collection.url}/api/v1/admin/compact`, post({}));
  const deadline = performance.now() + SETTLE_MS_MAX;
  for (let quietSince = performance.now(); performance.now() - quietSince < QUIET_MS;) {
    const { index } = await stateOf(collection);
    if (index.building || index.unsealed > 0) quietSince = performance.now();
    if (performance.now() > deadline) throw new Error("the index is not settled");
    await Bun.sleep(20);
  }
}

async function stateOf(collection: CollectionAt) {
  return Value.Parse(CollectionSchema, await callJson(pathOf(collection)));
}

/** Row numbers of the hits in a search's answer. */
export function hitRows(answer: unknown): number[] {
  const hits: unknown =
    typeof answer === "object" && answer !== null && "hits" in answer ? answer.hits : [];
  return Array.isArray(hits) ? hits.map((hit: { id: string }) => Number(hit.id.slice(1))) : [];
}
