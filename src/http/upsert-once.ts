import { TypeCompiler } from "@sinclair/typebox/compiler";
import { UpsertDocumentsSchema } from "../contract/documents.ts";
import type { Documents } from "../documents/documents.ts";
import type { Idempotency } from "../documents/idempotency.ts";
import { limits } from "../limits.ts";
import type { CollectionRow } from "../store/store.ts";
import { shapeProblem } from "./problem-response.ts";

const upsertBody = TypeCompiler.Compile(UpsertDocumentsSchema);

export interface UpsertDeps {
  documents: Documents;
  idempotency: Idempotency;
}

interface UpsertOptions {
  collection: CollectionRow;
  /** Answer when the vectors are searchable. */
  wait: boolean;
  /** Of the caller's Idempotency-Key. */
  key: string | undefined;
}

/** Writes the documents of a JSON body. @throws Problem `invalid_request`, and as `Documents.upsert` */
export async function upsertOnce(
  { documents, idempotency }: UpsertDeps,
  body: unknown,
  { collection, wait, key }: UpsertOptions,
) {
  if (!upsertBody.Check(body)) throw shapeProblem(upsertBody.Errors(body), "body");
  // What still waits is part of the answer that is kept: a repeated request gets the first one's to the letter.
  const write = async () => {
    const idOf =
      key === undefined ? undefined : (index: number) => idempotency.documentId(key, index);
    const result = await documents.upsert(collection, body.documents, idOf);
    if (wait) await documents.caughtUp(AbortSignal.timeout(limits.waitIndexedMsMax));
    return { ...result, pending_embeddings: await documents.pending(collection) };
  };
  return key === undefined ? write() : idempotency.once(key, JSON.stringify(body.documents), write);
}
