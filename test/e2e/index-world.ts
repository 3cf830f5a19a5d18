import { expect } from "bun:test";
import { CollectionSchema, type CollectionState } from "../../src/contract/collections.ts";
import { MultiSearchResultSchema } from "../../src/contract/search.ts";
import { limits } from "../../src/limits.ts";
import { eventually, type RunningProgram, type ServerProgram } from "../support/process.ts";
import { shaped } from "../support/server.ts";
import { seededRandom } from "./distinct-documents.ts";

/** A document with a vector of its own and a word that no other one has. */
export interface WorldDocument {
  id: string;
  text: string;
  vector: number[];
}

export const DIMENSIONS = 16;
const COLLECTION = "world";

/** Documents by number, the same for the same number. */
export function worldDocument(number: number): WorldDocument {
  const random = seededRandom(number + 1);
  const vector = Array.from({ length: DIMENSIONS }, () => random() + random() + random() - 1.5);
  return { id: `d${number}`, text: `some common words and ${wordOf(number)}`, vector };
}

/** The word that only this document has; letters alone, so that no stemmer changes two of them to one. */
export function wordOf(number: number): string {
  return `x${String(number).replaceAll(/\d/g, (digit) => "bcdfghjklm"[Number(digit)] ?? "")}q`;
}

export async function createWorld(server: ServerProgram): Promise<void> {
  const body = { name: COLLECTION, model: "none", dimensions: DIMENSIONS };
  const { status } = await post(server, "/api/v1/collections", body);
  // There from the second start on.
  expect([201, 409]).toContain(status);
}

/** Writes documents; resolves to those that were acknowledged before the server went, if it went. */
export async function write(server: ServerProgram, numbers: readonly number[]): Promise<number[]> {
  const acknowledged: number[] = [];
  for (let start = 0; start < numbers.length; start += 100) {
    const slice = numbers.slice(start, start + 100);
    const documents = slice.map(worldDocument);
    const path = `/api/v1/collections/${COLLECTION}/documents`;
    const answer = await post(server, path, { documents }).catch(() => undefined);
    if (answer?.ok !== true) break;
    acknowledged.push(...slice);
  }
  return acknowledged;
}

export async function remove(server: ServerProgram, numbers: readonly number[]): Promise<void> {
  const path = `/api/v1/collections/${COLLECTION}/documents/delete`;
  for (let start = 0; start < numbers.length; start += 500) {
    const ids = numbers.slice(start, start + 500).map((number) => `d${number}`);
    expect((await post(server, path, { ids })).status).toBe(200);
  }
}

export async function worldState(server: ServerProgram): Promise<CollectionState> {
  const answer = await fetch(`${server.url}/api/v1/collections/${COLLECTION}`);
  return shaped(CollectionSchema, await answer.json());
}

/** Resolves once nothing that was lost is being read again. */
export function whole(server: ServerProgram): Promise<true> {
  return eventually("the index is whole", async () =>
    (await worldState(server)).index.degraded ? undefined : true,
  );
}

export async function maintain(
  server: ServerProgram,
  what: "verify" | "compact",
): Promise<unknown> {
  const answer = await post(server, `/api/v1/admin/${what}`, undefined);
  expect(answer.status).toBe(200);
  return answer.json();
}

/** Ids that each search finds. */
export async function find(
  server: ServerProgram,
  searches: readonly Record<string, unknown>[],
): Promise<string[][]> {
  const found: string[][] = [];
  for (let start = 0; start < searches.length; start += limits.searchesPerRequestMax) {
    const slice = searches.slice(start, start + limits.searchesPerRequestMax);
    const body = { searches: slice.map((search) => ({ collection: COLLECTION, ...search })) };
    const answer = await post(server, "/api/v1/search/multi", body);
    const { results } = shaped(MultiSearchResultSchema, await answer.json());
    found.push(...results.map(({ hits }) => hits.map(({ id }) => id)));
  }
  return found;
}

export async function stop(server: RunningProgram): Promise<void> {
  server.signal("SIGTERM");
  expect(await server.exited).toBe(0);
}

function post(server: ServerProgram, path: string, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const content = body === undefined ? {} : { body: JSON.stringify(body), headers };
  return fetch(server.url + path, { method: "POST", ...content });
}
