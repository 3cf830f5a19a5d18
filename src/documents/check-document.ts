import { TypeCompiler } from "@sinclair/typebox/compiler";
import { DocumentInputSchema, type DocumentInput } from "../contract/documents.ts";
import { checkVector } from "../engine/check-vector.ts";
import { NO_MODEL } from "../engine/engine.ts";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { CollectionRow } from "../store/store.ts";

const schema = TypeCompiler.Compile(DocumentInputSchema);

/** A document that may be written: sizes, Unicode and numbers are checked, the vector has unit length. */
export interface CheckedDocument {
  id: string | undefined;
  title: string | null;
  text: string | null;
  metadata: Record<string, unknown>;
  vector: Float32Array | undefined;
}

/**
 * Checks one document of a request. @throws Problem `invalid_request`, `invalid_text`, `too_large`, `empty_text`,
 * `vector_not_accepted`, `vector_required`, `dimensions_mismatch`, `invalid_vector`
 */
export function checkDocument(input: unknown, collection: CollectionRow): CheckedDocument {
  const document = checkShape(input);
  const title = checkText("title", document.title, limits.titleBytesMax);
  const text = checkText("text", document.text, limits.textBytesMax);
  if (document.id !== undefined) checkText("id", document.id, limits.documentIdBytesMax);
  const metadata = checkMetadata(document.metadata ?? {});
  if (collection.model === NO_MODEL) {
    if (document.vector === undefined)
      throw new Problem("vector_required", "Give the document's vector.");
    return {
      id: document.id,
      title,
      text,
      metadata,
      vector: checkVector(document.vector, collection.dimensions),
    };
  }
  if (document.vector !== undefined) {
    throw new Problem(
      "vector_not_accepted",
      `${collection.model} embeds the text; leave the vector out.`,
    );
  }
  if (isBlank(title) && isBlank(text))
    throw new Problem("empty_text", "The document has neither title nor text.");
  return { id: document.id, title, text, metadata, vector: undefined };
}

function checkShape(input: unknown): DocumentInput {
  if (schema.Check(input)) return input;
  const first = schema.Errors(input).First();
  const field = first === undefined || first.path === "" ? "document" : fieldName(first.path);
  const message = first?.message ?? "is not a document";
  throw new Problem("invalid_request", `${field}: ${message}.`, { errors: [{ field, message }] });
}

/** The path of a wrong field as far as its names are ours; names below metadata are the caller's and are not repeated. */
function fieldName(path: string): string {
  return /^\/(id|title|text|metadata|vector)(?=\/|$)/.exec(path)?.[1] ?? "document";
}

function checkText(field: string, text: string | undefined, bytesMax: number): string | null {
  if (text === undefined) return null;
  // A lone surrogate has no UTF-8 form: it would come back as another text.
  if (!text.isWellFormed() || text.includes("\0")) {
    throw new Problem("invalid_text", `${field} holds a lone surrogate or a NUL.`);
  }
  if (text.length > bytesMax || utf8Bytes(text) > bytesMax) {
    throw new Problem("too_large", `${field} is larger than ${bytesMax} bytes.`);
  }
  return text;
}

function checkMetadata(metadata: Record<string, unknown>): Record<string, unknown> {
  if (Object.keys(metadata).length === 0) return metadata;
  const text = JSON.stringify(metadata, (_key, value: unknown) => {
    // JSON's 1e999 is read as Infinity and would be written as null.
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new Problem("invalid_request", "metadata holds a number that is not finite.");
    }
    return value;
  });
  if (utf8Bytes(text) > limits.metadataBytesMax) {
    throw new Problem("too_large", `metadata is larger than ${limits.metadataBytesMax} bytes.`);
  }
  // JSON.stringify writes a lone surrogate as an escape, which is where one can be seen in keys and values alike.
  if (/\\ud[89a-f]|\\u0000/i.test(text.replaceAll("\\\\", ""))) {
    throw new Problem("invalid_text", "metadata holds a lone surrogate or a NUL.");
  }
  return metadata;
}

function isBlank(text: string | null): boolean {
  return text === null || text.trim() === "";
}
