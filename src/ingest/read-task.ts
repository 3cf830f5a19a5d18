import { join } from "node:path";
import { limits } from "../limits.ts";
import type { JobError } from "../store/job-store.ts";
import type { IngestDocument, ReadFailure } from "./document.ts";
import { readDocuments } from "./read-file.ts";

/** A stored file and what its documents are called after. */
export interface StoredFile {
  id: string;
  /** Name in the upload's folder. */
  name: string;
  /** Documents that it gives, as far as that can be told without reading it: its lines. */
  units: number;
}

/** A place between two documents: so many results of the file at this place have been taken. */
export interface ReadPlace {
  file: number;
  results: number;
}

export interface ReadArgs {
  folder: string;
  files: readonly StoredFile[];
  /** What comes before it is passed over. */
  from: ReadPlace;
}

/** Documents that belong together in a transaction, and what could not be read between them. */
export interface ReadBatch {
  /** The file that all of it is from. */
  source: string;
  documents: { document: IngestDocument; line: number | null }[];
  failures: JobError[];
  /** Where reading goes on after it. */
  next: ReadPlace;
}

/**
 * Reads files into batches. A page of HTML or a long book takes as long as it takes, so this runs in a process of its own.
 * The same files give the same results in the same order, so that a place means the same in each try.
 */
export async function readFiles(
  { folder, files, from }: ReadArgs,
  give: (batch: ReadBatch) => Promise<void>,
): Promise<void> {
  for (let file = from.file; file < files.length; file++) {
    const { id, name } = files[file] ?? { id: "", name: "" };
    const skipped = file === from.file ? from.results : 0;
    let results = 0;
    let batch = emptyBatch(id, { file, results: skipped });
    let characters = 0;
    for await (const result of readDocuments({ path: join(folder, name), id })) {
      if (++results <= skipped) continue;
      batch.next.results = results;
      if (result.ok) {
        batch.documents.push({ document: result.document, line: result.line ?? null });
        characters += sizeOf(result.document);
      } else batch.failures.push(failureOf(result));
      if (!isFull(batch, characters)) continue;
      await give(batch);
      batch = emptyBatch(id, { file, results });
      characters = 0;
    }
    batch.next = { file: file + 1, results: 0 };
    await give(batch);
  }
}

/** About how many characters it is on its way: what comes with a text may be larger than it, and is refused later. */
function sizeOf({ id, title = "", text, metadata, vector = "" }: IngestDocument): number {
  const vectorSize = typeof vector === "string" ? vector.length : vector.length * 8;
  return id.length + title.length + text.length + JSON.stringify(metadata).length + vectorSize;
}

function emptyBatch(source: string, next: ReadPlace): ReadBatch {
  return { source, documents: [], failures: [], next };
}

function isFull({ documents, failures }: ReadBatch, characters: number): boolean {
  return (
    documents.length + failures.length >= limits.documentsPerTransactionMax ||
    characters >= limits.ingestBatchCharactersMax
  );
}

function failureOf({ source, line, message }: ReadFailure): JobError {
  return { source, line: line ?? null, code: "invalid_request", message };
}
