import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { IngestDocument, ReadResult } from "../../../src/ingest/document.ts";
import { readDocuments } from "../../../src/ingest/read-file.ts";
import { tempDir } from "../../support/temp-dir.ts";

/** Everything that reading one file of this name and content gives; the file is written, read and removed. */
export async function readContent(
  name: string,
  content: string | Uint8Array,
): Promise<ReadResult[]> {
  using dir = tempDir();
  const path = join(dir.path, name);
  await writeFile(path, content);
  return await Array.fromAsync(readDocuments({ path, id: name }));
}

/** The documents among the results of `readContent`; failures are left out. */
export async function documentsIn(name: string, content: string): Promise<IngestDocument[]> {
  const results = await readContent(name, content);
  return results.flatMap((result) => (result.ok ? [result.document] : []));
}

/** The one document that a file gives. @throws Error where it gives none or several, or a failure */
export async function documentIn(name: string, content: string): Promise<IngestDocument> {
  const [first, ...others] = await readContent(name, content);
  if (first?.ok !== true || others.length > 0) {
    throw new Error(`expected one document, got ${JSON.stringify([first, ...others])}`);
  }
  return first.document;
}
