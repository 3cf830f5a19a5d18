import { Value } from "@sinclair/typebox/value";
import colors from "picocolors";
import { SearchResultSchema, type Hit, type SearchResult } from "../contract/search.ts";
import { Problem } from "../problems.ts";
import { readCollections } from "./collections.ts";
import { withTarget } from "./command-context.ts";
import { printResult, say } from "./output.ts";
import { jsonBody, readAnswer, type Target } from "./target.ts";

export interface SearchOptions {
  collection?: string;
  k?: string;
  mode?: string;
  filter?: string;
  explain?: boolean;
  json?: boolean;
}

/** Prints the hits of one search. @throws Problem `usage`; ApiError where the server refuses it */
export async function searchCommand(query: string, options: SearchOptions): Promise<void> {
  const body = { query, highlight: true, ...requestOf(options) };
  const answer = await withTarget(async (target) => {
    const name = options.collection ?? (await onlyCollection(target));
    return readAnswer(
      await target.call(
        `/api/v1/collections/${encodeURIComponent(name)}/search`,
        jsonBody("POST", body),
      ),
    );
  });
  if (options.json) {
    printResult(JSON.stringify(answer));
    return;
  }
  show(Value.Parse(SearchResultSchema, answer));
}

function requestOf({ k, mode, filter, explain }: SearchOptions): Record<string, unknown> {
  return {
    ...(k === undefined ? {} : { k: Number(k) }),
    ...(mode === undefined ? {} : { mode }),
    ...(explain ? { explain } : {}),
    ...(filter === undefined ? {} : { filter: parseFilterOption(filter) }),
  };
}

function parseFilterOption(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem("usage", "--filter must be JSON.", { cause: error });
  }
}

async function onlyCollection(target: Target): Promise<string> {
  const names = (await readCollections(target)).map((collection) => collection.name);
  const [first] = names;
  if (first === undefined)
    throw new Problem("usage", "There is no collection yet: slipstream ingest PATH makes one.");
  if (names.length === 1) return first;
  if (names.includes("documents")) return "documents";
  throw new Problem("usage", "There are several collections: name one with --collection.");
}

function show({ hits, took_ms, model }: SearchResult): void {
  for (const [index, hit] of hits.entries()) {
    const place = hit.chunk?.heading ?? hit.title ?? hit.id;
    printResult(
      `${String(index + 1).padStart(2)}. ${colors.bold(place)}  ${hit.score.toFixed(3)}  ${colors.dim(hit.id)}`,
    );
    printResult(`    ${excerpt(hit)}`);
    if (hit.scores !== undefined) printResult(colors.dim(`    ${JSON.stringify(hit.scores)}`));
  }
  if (hits.length === 0) printResult("Nothing found.");
  say(colors.dim(`${hits.length} hits in ${took_ms.toFixed(1)} ms (${model})`));
}

const EXCERPT_LENGTH = 240;

/** The first lines of a hit on one line, what matched in bold. */
function excerpt({ text, highlights }: Hit): string {
  if (text === null || text === undefined) return "";
  let shown = "";
  let place = 0;
  for (const { field, start, end } of highlights) {
    if (field !== "text" || end > EXCERPT_LENGTH) continue;
    shown += text.slice(place, start) + colors.bold(text.slice(start, end));
    place = end;
  }
  shown += text.slice(place, Math.max(place, EXCERPT_LENGTH));
  return `${shown.replaceAll(/\s+/g, " ").trim()}${text.length > EXCERPT_LENGTH ? " …" : ""}`;
}
