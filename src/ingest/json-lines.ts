import { isObject } from "../lib/is-object.ts";
import { isDeeperThan } from "../lib/json-depth.ts";
import { decodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";
import type { IngestDocument, ReadResult, SourceFile } from "./document.ts";
import { readLines } from "./read-lines.ts";
import type { FileLine } from "./read-lines.ts";

const TEXT_KEYS = ["text", "content", "body"] as const;

/** What one line gives; the failure's sentence ends one that begins with the line. */
type Parsed = { ok: true; document: IngestDocument } | { ok: false; message: string };

/**
 * The documents of a JSON Lines file, one object a line: `id` or `_id` (text or a number), `title`, `text` or `content`
 * or `body`, `metadata` (an object) and `vector` (numbers or base64; the text may then be missing). Every other key that holds
 * text, a number, a boolean or a list of texts becomes metadata; other shapes are left out unless they are in
 * `metadata`, which wins over both. Without an id it is `<file id>#<line>`. Blank lines are passed over. A bad line
 * gives a failure with its number and the rest goes on; at most one line is held in memory.
 */
export async function* readJsonLines(file: SourceFile): AsyncIterable<ReadResult> {
  let isEmpty = true;
  const lineBytesMax = limits.ndjsonLineBytesMax;
  for await (const line of readLines(Bun.file(file.path).stream(), lineBytesMax)) {
    const parsed = parseLine(file.id, line);
    if (parsed === undefined) continue;
    isEmpty = false;
    if (parsed.ok) yield { ...parsed, line: line.number };
    else yield { ok: false, source: file.id, line: line.number, message: parsed.message };
  }
  if (isEmpty) yield { ok: false, source: file.id, message: "is empty" };
}

function parseLine(source: string, line: FileLine): Parsed | undefined {
  if (line.bytes === undefined) {
    return failure(`is longer than ${limits.ndjsonLineBytesMax} bytes`);
  }
  const text = decodeUtf8(line.bytes);
  if (text === undefined) return failure("is not valid UTF-8");
  if (text.trim() === "") return undefined;
  if (isDeeperThan(line.bytes, limits.jsonDepthMax)) {
    return failure(`is nested deeper than ${limits.jsonDepthMax} levels`);
  }
  const value = parseJson(text);
  if (value === undefined) return failure("is not valid JSON");
  if (!isObject(value)) return failure("is not a JSON object");
  return toDocument(value, { source, id: `${source}#${line.number}` });
}

function toDocument(
  line: Record<string, unknown>,
  defaults: { source: string; id: string },
): Parsed {
  const { metadata: named, vector, title, ...rest } = line;
  const idKey = present(rest["id"]) ? "id" : "_id";
  const textKey = TEXT_KEYS.find((key) => typeof rest[key] === "string");
  const id = present(rest[idKey]) ? idOf(rest[idKey]) : defaults.id;
  if (id === undefined) return failure(`has an "${idKey}" that is neither text nor a number`);
  if (present(title) && typeof title !== "string") return failure('has a "title" that is not text');
  if (present(named) && !isObject(named)) return failure('has "metadata" that is not an object');
  if (present(vector) && !isVector(vector))
    return failure('has a "vector" that is neither numbers nor base64');
  const text = textKey === undefined ? "" : String(rest[textKey]);
  if (text.trim() === "" && !isVector(vector)) return failure("has no text, content or body");
  const others = Object.entries(rest).filter(
    ([key, value]) => key !== idKey && key !== textKey && isMetadataValue(value),
  );
  const document: IngestDocument = {
    id,
    ...(typeof title === "string" && title.trim() !== "" && { title: title.trim() }),
    text,
    metadata: {
      source: defaults.source,
      format: "jsonl",
      ...Object.fromEntries(others),
      ...(isObject(named) ? named : {}),
    },
    ...(isVector(vector) && { vector }),
  };
  return { ok: true, document };
}

/** A key set to null counts as missing, as exporters write it so. */
function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function idOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Whether it is base64 is seen where a collection says how long it must be. */
function isVector(value: unknown): value is number[] | string {
  if (typeof value === "string") return value !== "";
  return Array.isArray(value) && value.length > 0 && value.every(Number.isFinite);
}

function isMetadataValue(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((item) => typeof item === "string");
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failure(message: string): { ok: false; message: string } {
  return { ok: false, message };
}
