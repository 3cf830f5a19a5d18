import type { CountTokens } from "../embedding/embedder.ts";
import { embeddedTitle } from "../engine/embedded-text.ts";
import { limits } from "../limits.ts";
import { Problem, type ProblemCode } from "../problems.ts";
import type { ChunkRow, CollectionRow, DocumentWrite } from "../store/store.ts";
import { checkDocument, type CheckedDocument } from "./check-document.ts";
import { chunkText } from "./chunk.ts";

/** [CLS] and [SEP], which a model puts around every text. */
const SPECIAL_TOKENS = 2;

/** However long a title is, a chunk keeps this much room for text of its own. */
const CHUNK_TOKENS_MIN = 8;

/** Preparing may take this long before others get their turn. */
const sliceMs = 4;

/** A document that may be written, or why it may not. Plain data: another process can have prepared it. */
export type Prepared =
  | { ok: true; document: DocumentWrite }
  | { ok: false; error: { code: ProblemCode; detail: string } };

/** Checks documents and cuts them into chunks. `ids` are for those that have none, by their place. */
export async function prepareDocuments(
  inputs: readonly unknown[],
  options: {
    ids: readonly string[];
    collection: CollectionRow;
    countTokens: CountTokens | undefined;
  },
): Promise<Prepared[]> {
  const { ids, collection, countTokens } = options;
  const prepared: Prepared[] = [];
  let start = performance.now();
  for (const [index, input] of inputs.entries()) {
    prepared.push(prepare(input, { id: ids[index] ?? "", collection, countTokens }));
    if (performance.now() - start > sliceMs) {
      await new Promise(setImmediate);
      start = performance.now();
    }
  }
  return prepared;
}

interface PrepareOptions {
  id: string;
  collection: CollectionRow;
  countTokens: CountTokens | undefined;
}

function prepare(input: unknown, options: PrepareOptions): Prepared {
  try {
    const checked = checkDocument(input, options.collection);
    const id = checked.id ?? options.id;
    return { ok: true, document: prepareDocument(checked, { ...options, id }) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ok: false, error: { code: error.code, detail: error.detail } };
  }
}

/**
 * Cuts a checked document into chunks. `countTokens` is the collection's model's, undefined where it has none.
 * @throws Problem `too_large` for more chunks than `limits.chunksPerDocumentMax`
 */
export function prepareDocument(
  { title, text, metadata, vector }: CheckedDocument,
  { id, collection, countTokens }: PrepareOptions,
): DocumentWrite {
  const whole: ChunkRow[] = [{ start: 0, end: text?.length ?? 0, heading: null }];
  const base = { id, title, text, metadata };
  if (vector !== undefined) return { ...base, chunks: whole, vector };
  if (countTokens === undefined || text === null || collection.chunking.strategy === "none") {
    return { ...base, chunks: whole };
  }
  const { tokens_max, tokens_overlap } = collection.chunking;
  const titleTokens = countTokens(embeddedTitle(title));
  const tokensMax = Math.max(CHUNK_TOKENS_MIN, tokens_max - SPECIAL_TOKENS - titleTokens);
  const tokensOverlap = Math.min(tokens_overlap, tokensMax >> 1);
  const chunks = chunkText(text, { tokensMax, countTokens, tokensOverlap });
  if (chunks.length > limits.chunksPerDocumentMax) {
    throw new Problem(
      "too_large",
      `The text makes more than ${limits.chunksPerDocumentMax} chunks.`,
    );
  }
  return {
    ...base,
    chunks: chunks.map(({ start, end, heading }) => ({ start, end, heading: heading ?? null })),
  };
}
