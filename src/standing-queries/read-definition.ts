import { NO_MODEL } from "../engine/engine.ts";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { parseFieldPath, parseFilter } from "../store/filter.ts";
import type { CollectionRow } from "../store/store.ts";
import type { StandingQuery } from "./standing-query.ts";
import type { MatchEvent, StandingQueryDefinition } from "./standing-queries.ts";

const EVENTS: readonly MatchEvent[] = ["insert", "update", "leave"];
const FIELDS_DEFAULT = ["title", "metadata"];
/** 132 bits: nobody finds two queries with the same. */
const HASH_CHARACTERS = 22;

/**
 * Checks a definition, of which nothing is taken for granted but that its text is a string.
 * @throws Problem `invalid_request`, `invalid_text`, `too_large`, `empty_text`, `invalid_filter`, `vector_required`
 */
export function readDefinition(
  definition: StandingQueryDefinition,
  collection: CollectionRow,
): StandingQuery {
  const { mode, filter } = definition;
  if (filter !== undefined) parseFilter(filter);
  if (mode !== "keyword" && collection.model === NO_MODEL) {
    throw new Problem(
      "vector_required",
      "The collection has no model: only keyword queries can stand in it.",
    );
  }
  const rest = {
    collectionKey: collection.key,
    text: readText(definition.text),
    mode,
    minScore: readMinScore(definition),
    // Of the other modes it is no part, and a change of it is none of theirs.
    weight: mode === "hybrid" ? collection.fusion.weight : Number(mode === "semantic"),
    filter,
    on: readEvents(definition.on ?? ["insert", "update"]),
    fields: readFields(definition.fields ?? FIELDS_DEFAULT),
  };
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify(rest)).digest("base64url");
  return { hash: hash.slice(0, HASH_CHARACTERS), ...rest };
}

/** White space tells nothing apart. */
function readText(text: string): string {
  if (text.length > limits.queryBytesMax || utf8Bytes(text) > limits.queryBytesMax) {
    throw new Problem("too_large", `The query is larger than ${limits.queryBytesMax} bytes.`);
  }
  if (!text.isWellFormed()) throw new Problem("invalid_text", "The query holds a lone surrogate.");
  const trimmed = text.trim().replaceAll(/\s+/g, " ");
  if (trimmed === "") throw new Problem("empty_text", "The query has no words.");
  return trimmed;
}

function readMinScore({ mode, min_score }: StandingQueryDefinition): number {
  if (min_score === undefined) {
    if (mode === "keyword") return 1;
    throw invalid("/min_score", "is required unless the mode is keyword");
  }
  const isScore = mode === "keyword" ? min_score > 0 : min_score >= -1;
  if (!isScore || min_score > 1) {
    const range = mode === "keyword" ? "above 0 and at most 1" : "from -1 to 1";
    throw invalid("/min_score", `must be ${range}`);
  }
  return min_score;
}

function readEvents(on: readonly MatchEvent[]): MatchEvent[] {
  if (on.length === 0 || on.some((event) => !EVENTS.includes(event))) {
    throw invalid("/on", `must name some of ${EVENTS.join(", ")}`);
  }
  return EVENTS.filter((event) => on.includes(event));
}

function readFields(fields: readonly string[]): string[] {
  if (fields.length > limits.standingFieldsMax)
    throw invalid("/fields", `must name at most ${limits.standingFieldsMax} fields`);
  for (const field of fields) {
    if (field === "title" || field === "text" || field === "metadata") continue;
    if (!field.startsWith("metadata."))
      throw invalid("/fields", "must name title, text, metadata or metadata.<field>");
    parseFieldPath(field);
  }
  return [...new Set(fields)].toSorted();
}

function invalid(field: string, message: string): Problem {
  return new Problem("invalid_request", `${field} ${message}.`, { errors: [{ field, message }] });
}
