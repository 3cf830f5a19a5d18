import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { StandingQuery } from "./standing-query.ts";
import type { StandingQueryDefinition } from "./standing-queries.ts";

/** A definition with every default in its place, so that a later version's defaults change nothing of it. */
export type StoredDefinition = Required<Omit<StandingQueryDefinition, "filter" | "collection">> &
  Pick<StandingQueryDefinition, "filter">;

/** How a query is stored: JSON text. @throws Problem `too_large` */
export function definitionText({
  text,
  mode,
  minScore,
  filter,
  on,
  fields,
}: StandingQuery): string {
  const definition: StoredDefinition = { text, mode, min_score: minScore, filter, on, fields };
  const json = JSON.stringify(definition);
  if (json.length <= limits.storedQueryBytesMax) return json;
  throw new Problem(
    "too_large",
    `The query with its filter is larger than ${limits.storedQueryBytesMax} bytes.`,
  );
}

/** A stored query of a collection as it is opened. */
export function parseDefinition(
  json: string,
  collection: string,
): StoredDefinition & StandingQueryDefinition {
  const definition: StoredDefinition = JSON.parse(json);
  return { ...definition, collection };
}
