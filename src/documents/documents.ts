import type { DocumentState, ItemResult } from "../contract/documents.ts";
import { NO_MODEL, type Engine } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { parseFilter } from "../store/filter.ts";
import type {
  CollectionRow,
  DocumentRow,
  DocumentWrite,
  Store,
  WrittenDocument,
} from "../store/store.ts";
import { checkDocument } from "./check-document.ts";
import { prepareDocument } from "./prepare.ts";

/** Chunking may take this long before other requests get their turn. */
const SLICE_MS = 4;

export interface DocumentsDeps {
  store: Store;
  engine: Engine;
}

export interface UpsertResult {
  upserted: number;
  /** Change number of the last document written; of the store, where none was. */
  sequence: number;
  items: ItemResult[];
}

/** The write path and plain reads of documents. */
export function createDocuments(deps: DocumentsDeps) {
  return { ...writes(deps), ...reads(deps) };
}

function writes({ store, engine }: DocumentsDeps) {
  const remove = async (collection: CollectionRow, ids: readonly string[]): Promise<number> => {
    let deleted = 0;
    for (let start = 0; start < ids.length; start += limits.documentsPerTransactionMax) {
      const slice = ids.slice(start, start + limits.documentsPerTransactionMax);
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
      const countTokens =
        collection.model === NO_MODEL ? undefined : await engine.tokenCounter(collection.model);
      await engine.room(collection);
      const prepared = await inSlices(inputs, (input, index) =>
        attempt(() => {
          const checked = checkDocument(input, collection);
          return prepareDocument(checked, {
            id: checked.id ?? idOf(index),
            collection,
            countTokens,
          });
        }),
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

function reads({ store, engine }: DocumentsDeps) {
  return {
    async get(collection: CollectionRow, id: string): Promise<DocumentState> {
      const row = await store.document(collection.key, id);
      if (row === undefined)
        throw new Problem("document_not_found", "The collection has no document of this id.");
      return toState(row);
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
    async pending(collection: CollectionRow): Promise<number> {
      return (await store.counts(collection.key)).pendingEmbeddings;
    },
    /** Resolves when all that was written before the call can be found by meaning, or at the signal. */
    caughtUp: (signal: AbortSignal): Promise<void> => engine.caughtUp(signal),
  };
}

export type Documents = ReturnType<typeof createDocuments>;

type Attempt<T> = { ok: true; value: T } | { ok: false; problem: Problem };

function attempt<T>(work: () => T): Attempt<T> {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    if (error instanceof Problem) return { ok: false, problem: error };
    throw error;
  }
}

/** Maps a list on this thread and lets others have their turn after each few milliseconds. */
async function inSlices<T, R>(
  list: readonly T[],
  work: (one: T, index: number) => R,
): Promise<R[]> {
  const results: R[] = [];
  let start = performance.now();
  for (const [index, one] of list.entries()) {
    results.push(work(one, index));
    if (performance.now() - start > SLICE_MS) {
      await new Promise(setImmediate);
      start = performance.now();
    }
  }
  return results;
}

/** Results by the place of the document in the request; a document that was not prepared has none. */
async function writeAll(
  store: Store,
  collection: CollectionRow,
  prepared: readonly Attempt<DocumentWrite>[],
): Promise<(Attempt<WrittenDocument> | undefined)[]> {
  const results: (Attempt<WrittenDocument> | undefined)[] = prepared.map(() => undefined);
  const places = prepared.flatMap((one, index) => (one.ok ? [{ index, document: one.value }] : []));
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
    for (const place of slice) results[place.index] = { ok: false, problem: failure };
  }
  return results;
}

async function writeSlice(
  store: Store,
  collection: CollectionRow,
  documents: readonly DocumentWrite[],
): Promise<Attempt<WrittenDocument[]>> {
  try {
    return { ok: true, value: await store.writeDocuments(collection.key, documents) };
  } catch (error) {
    if (error instanceof Problem) return { ok: false, problem: error };
    throw error;
  }
}

function found(document: WrittenDocument | undefined): Attempt<WrittenDocument> | undefined {
  return document === undefined ? undefined : { ok: true, value: document };
}

function toItem(
  prepared: Attempt<DocumentWrite>,
  { written, input }: { written: Attempt<WrittenDocument> | undefined; input: unknown },
): ItemResult {
  const failed = prepared.ok
    ? written?.ok === false
      ? written.problem
      : undefined
    : prepared.problem;
  if (failed !== undefined) {
    const id = prepared.ok ? prepared.value.id : readableId(input);
    return { id, status: "failed", error: { code: failed.code, detail: failed.detail } };
  }
  const update = written?.ok === true && written.value.kind === "update";
  return { id: prepared.ok ? prepared.value.id : null, status: update ? "replaced" : "created" };
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
