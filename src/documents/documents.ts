import type { DocumentState, ItemResult } from "../contract/documents.ts";
import { NO_MODEL } from "../engine/engine.ts";
import type { Engines } from "../engine/engines.ts";
import { limits } from "../limits.ts";
import { Problem, type ProblemCode } from "../problems.ts";
import { parseFilter } from "../store/filter.ts";
import type {
  CollectionRow,
  DocumentRow,
  DocumentWrite,
  Store,
  StoreRead,
  WrittenDocument,
} from "../store/store.ts";
import { prepareDocuments, type Prepared } from "./prepare.ts";

export interface DocumentsDeps {
  store: Store;
  engines: Pick<Engines, "room" | "caughtUp">;
  /** As `prepareDocuments`, with the collection's model, wherever that is loaded. */
  prepare: (
    inputs: readonly unknown[],
    options: { collection: CollectionRow; ids: readonly string[] },
  ) => Promise<Prepared[]>;
  /** Is told of documents before they are written or deleted, in the context of whoever does so. */
  onChanging?: (collectionKey: number, ids: readonly string[]) => void;
}

export interface UpsertResult {
  upserted: number;
  /** Change number of the last document written; of the store, where none was. */
  sequence: number;
  items: ItemResult[];
}

/** The write path and plain reads of documents. */
export function createDocuments(deps: DocumentsDeps) {
  return { ...writes(deps), ...createDocumentReads(deps.store) };
}

function writes({ store, engines, prepare, onChanging }: DocumentsDeps) {
  const remove = async (collection: CollectionRow, ids: readonly string[]): Promise<number> => {
    let deleted = 0;
    for (let start = 0; start < ids.length; start += limits.documentsPerTransactionMax) {
      const slice = ids.slice(start, start + limits.documentsPerTransactionMax);
      onChanging?.(collection.key, slice);
      deleted += await store.deleteDocuments(collection.key, slice);
    }
    return deleted;
  };
  return {
    /**
     * Writes documents; the same id replaces. A wrong document fails alone. `idOf` names those that have no id.
     * Resolves after the last COMMIT. @throws Problem where nothing at all could be written, as `storage_full`
     */
    async upsert(
      collection: CollectionRow,
      inputs: readonly unknown[],
      idOf: (index: number) => string = () => crypto.randomUUID(),
    ): Promise<UpsertResult> {
      await engines.room(collection.key);
      const ids = inputs.map((input, index) => (hasId(input) ? "" : idOf(index)));
      // Vectors of the caller's need no model, and so no other process.
      const prepared =
        collection.model === NO_MODEL
          ? await prepareDocuments(inputs, { ids, collection, countTokens: undefined })
          : await prepare(inputs, { ids, collection });
      onChanging?.(
        collection.key,
        prepared.flatMap((one) => (one.ok ? one.document.id : [])),
      );
      const written = await writeAll(store, collection, prepared);
      const items = prepared.map((one, index) =>
        toItem(one, { written: written[index], input: inputs[index] }),
      );
      return {
        upserted: items.filter((item) => item.status !== "failed").length,
        sequence: store.sequence,
        items,
      };
    },
    /** @throws Problem `document_not_found` */
    async delete(collection: CollectionRow, id: string): Promise<void> {
      if ((await remove(collection, [id])) === 0) {
        throw new Problem("document_not_found", "The collection has no document of this id.");
      }
    },
    deleteIds: remove,
    /** Resolves when all that was written before the call can be found by meaning, or at the signal. */
    caughtUp: (signal: AbortSignal): Promise<void> => engines.caughtUp(signal),
    /** Deletes what matches, page by page. @throws Problem `invalid_filter` */
    async deleteMatching(collection: CollectionRow, filter: unknown): Promise<number> {
      const page = {
        collectionKey: collection.key,
        filter: parseFilter(filter),
        limit: limits.documentsPerTransactionMax,
      };
      let deleted = 0;
      for (let after = ""; ;) {
        const rows = await store.documents({ ...page, after });
        const last = rows.at(-1);
        if (last === undefined) return deleted;
        deleted += await remove(
          collection,
          rows.map((row) => row.id),
        );
        after = last.id;
        await new Promise(setImmediate);
      }
    },
  };
}

/** Plain reads of documents. */
export function createDocumentReads(store: StoreRead) {
  const find = async (
    collection: CollectionRow,
    id: string,
  ): Promise<DocumentState | undefined> => {
    const row = await store.document(collection.key, id);
    return row === undefined ? undefined : toState(row);
  };
  return {
    find,
    /** @throws Problem `document_not_found` */
    async get(collection: CollectionRow, id: string): Promise<DocumentState> {
      const document = await find(collection, id);
      if (document !== undefined) return document;
      throw new Problem("document_not_found", "The collection has no document of this id.");
    },
    /** In id order. @throws Problem `invalid_filter` */
    async list(
      collection: CollectionRow,
      { filter, after, limit }: { filter: unknown; after: string; limit: number },
    ): Promise<DocumentState[]> {
      const parsed = filter === undefined ? {} : { filter: parseFilter(filter) };
      const rows = await store.documents({
        collectionKey: collection.key,
        ...parsed,
        after,
        limit,
      });
      return rows.map(toState);
    },
    /** The last change number given out. */
    sequence: (): number => store.sequence,
    /** Chunks that wait for their vectors. */
    async pending(collection: CollectionRow): Promise<number> {
      // A read after another connection's commit costs as much as the write.
      if (collection.model === NO_MODEL) return 0;
      return (await store.counts(collection.key)).pendingEmbeddings;
    },
  };
}

export type DocumentReads = ReturnType<typeof createDocumentReads>;
export type Documents = ReturnType<typeof createDocuments>;

interface Failed {
  ok: false;
  error: { code: ProblemCode; detail: string };
}

type Written = { ok: true; value: WrittenDocument } | Failed;

/** Results by the place of the document in the request; a document that was not prepared has none. */
async function writeAll(
  store: Store,
  collection: CollectionRow,
  prepared: readonly Prepared[],
): Promise<(Written | undefined)[]> {
  const results: (Written | undefined)[] = prepared.map(() => undefined);
  const places = prepared.flatMap((one, index) =>
    one.ok ? [{ index, document: one.document }] : [],
  );
  let failure: Problem | undefined;
  for (let start = 0; start < places.length; start += limits.documentsPerTransactionMax) {
    const slice = places.slice(start, start + limits.documentsPerTransactionMax);
    if (failure === undefined) {
      const outcome = await writeSlice(
        store,
        collection,
        slice.map((place) => place.document),
      );
      if (outcome.ok) {
        for (const [offset, place] of slice.entries())
          results[place.index] = found(outcome.value[offset]);
        continue;
      }
      // Nothing was written: the request as a whole failed. Else what was written must be told, and the rest refused.
      if (start === 0) throw outcome.problem;
      failure = outcome.problem;
    }
    for (const place of slice) results[place.index] = { ok: false, error: failure };
  }
  return results;
}

async function writeSlice(
  store: Store,
  collection: CollectionRow,
  documents: readonly DocumentWrite[],
): Promise<{ ok: true; value: WrittenDocument[] } | { ok: false; problem: Problem }> {
  try {
    return { ok: true, value: await store.writeDocuments(collection.key, documents) };
  } catch (error) {
    if (error instanceof Problem) return { ok: false, problem: error };
    throw error;
  }
}

function found(document: WrittenDocument | undefined): Written | undefined {
  return document === undefined ? undefined : { ok: true, value: document };
}

function toItem(
  prepared: Prepared,
  { written, input }: { written: Written | undefined; input: unknown },
): ItemResult {
  const failed = prepared.ok ? written : prepared;
  if (failed?.ok === false) {
    const id = prepared.ok ? prepared.document.id : readableId(input);
    const { code, detail } = failed.error;
    return { id, status: "failed", error: { code, detail } };
  }
  const update = written?.ok === true && written.value.kind === "update";
  return {
    id: prepared.ok ? prepared.document.id : null,
    status: update ? "replaced" : "created",
  };
}

function hasId(input: unknown): boolean {
  return typeof input === "object" && input !== null && "id" in input;
}

/** The id of a document that was refused, where it has one that can be shown. */
function readableId(input: unknown): string | null {
  if (
    typeof input !== "object" ||
    input === null ||
    !("id" in input) ||
    typeof input.id !== "string"
  )
    return null;
  return input.id.length <= limits.documentIdBytesMax && input.id.isWellFormed() ? input.id : null;
}

function toState(row: DocumentRow): DocumentState {
  return {
    id: row.id,
    title: row.title,
    text: row.text,
    metadata: row.metadata,
    chunks: row.chunks,
    pending_embeddings: row.pendingEmbeddings,
    sequence: row.sequence,
    created_at: row.createdAt,
    updated_at: row.updatedAt,
  };
}
