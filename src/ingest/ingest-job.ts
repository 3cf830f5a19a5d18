import { Type, type Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Documents } from "../documents/documents.ts";
import type { JobContext, JobKind } from "../jobs/job-kind.ts";
import type { RunTask } from "../jobs/task-process.ts";
import { isProblemCode, Problem } from "../problems.ts";
import type { JobError } from "../store/job-store.ts";
import type { CollectionRow } from "../store/store.ts";
import type { ReadArgs, ReadBatch, ReadPlace, StoredFile } from "./read-task.ts";
import type { Uploads } from "./uploads.ts";

/** Name of the task that reads, for the child that has it. */
export const READ_TASK = "read-files";

const PayloadSchema = Type.Object({
  collectionKey: Type.Integer(),
  files: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), units: Type.Integer() })),
});

const CheckpointSchema = Type.Object({
  next: Type.Object({ file: Type.Integer(), results: Type.Integer() }),
  documents: Type.Integer(),
  failed: Type.Integer(),
});
type Checkpoint = Static<typeof CheckpointSchema>;

export interface IngestJobDeps {
  uploads: Uploads;
  documents: Pick<Documents, "upsert" | "find">;
  collections: { require(name: string): Promise<CollectionRow> };
  runTask: RunTask;
}

/** Jobs that put uploaded files into a collection. */
export function ingestKind(deps: IngestJobDeps): JobKind<typeof PayloadSchema> {
  return {
    name: "ingest",
    payload: PayloadSchema,
    unit: "documents",
    async run({ collectionKey, files }, context) {
      const collection = await deps.collections.require(context.job.collection ?? "");
      if (collection.key !== collectionKey) {
        throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
      }
      const ingest = new Ingest(deps, { collection, files, context });
      return ingest.run();
    },
    finished: (_payload, { id }) => deps.uploads.remove(id),
  };
}

/** One try: from the checkpoint to the end. */
class Ingest {
  readonly #deps: IngestJobDeps;
  readonly #collection: CollectionRow;
  readonly #files: readonly StoredFile[];
  readonly #context: JobContext;
  readonly #place: Checkpoint;
  /** What follows the checkpoint may be there already: it is compared, and not written again, up to the first that is not. */
  #comparing: boolean;

  constructor(
    deps: IngestJobDeps,
    given: { collection: CollectionRow; files: readonly StoredFile[]; context: JobContext },
  ) {
    this.#deps = deps;
    this.#collection = given.collection;
    this.#files = given.files;
    this.#context = given.context;
    this.#place = Value.Check(CheckpointSchema, given.context.checkpoint)
      ? structuredClone(given.context.checkpoint)
      : { next: { file: 0, results: 0 }, documents: 0, failed: 0 };
    this.#comparing = given.context.resumed;
  }

  async run(): Promise<Record<string, unknown>> {
    const { id, signal } = this.#context;
    const args: ReadArgs = {
      folder: this.#deps.uploads.folderOf(id),
      files: this.#files,
      from: this.#place.next,
    };
    const onItem = (batch: ReadBatch): Promise<void> => this.#take(batch);
    await this.#deps.runTask<void>(READ_TASK, { args, signal, onItem });
    const { documents, failed } = this.#place;
    if (documents === 0 && failed > 0) {
      throw new Problem("invalid_request", "Nothing of what was sent could be taken.");
    }
    return { files: this.#files.length, documents, failed };
  }

  async #take({ source, documents, failures, next }: ReadBatch): Promise<void> {
    this.#context.signal.throwIfAborted();
    const errors = [...failures];
    const missing = this.#comparing ? await this.#missing(documents) : documents;
    if (missing.length > 0) {
      this.#comparing = false;
      errors.push(...(await this.#write(source, missing)));
    }
    this.#place.documents += documents.length - (errors.length - failures.length);
    this.#place.failed += errors.length;
    this.#place.next = next;
    this.#context.report({
      done: doneAt(this.#files, next),
      total: this.#files.reduce((sum, { units }) => sum + units, 0),
      checkpoint: structuredClone(this.#place),
      errors,
    });
  }

  /** The documents of a batch that are not stored as they are here. */
  async #missing(documents: ReadBatch["documents"]): Promise<ReadBatch["documents"]> {
    const missing: ReadBatch["documents"] = [];
    for (const one of documents) {
      const { id, title = null, text, metadata, vector } = one.document;
      const stored = await this.#deps.documents.find(this.#collection, id);
      const isSame =
        stored !== undefined &&
        vector === undefined &&
        Bun.deepEquals(
          { title: stored.title, text: stored.text, metadata: stored.metadata },
          { title, text, metadata },
        );
      if (!isSame) missing.push(one);
    }
    return missing;
  }

  /** Gives what was refused. @throws Problem where nothing could be written */
  async #write(source: string, documents: ReadBatch["documents"]): Promise<JobError[]> {
    const inputs = documents.map(({ document }) => document);
    const { items } = await this.#deps.documents.upsert(this.#collection, inputs);
    return items.flatMap(({ error }, index) => {
      const given = documents[index];
      if (error === undefined || given === undefined) return [];
      const code = isProblemCode(error.code) ? error.code : "internal";
      return [{ source, line: given.line, code, message: error.detail }];
    });
  }
}

/** Documents before a place, as the total counts them. */
function doneAt(files: readonly StoredFile[], { file, results }: ReadPlace): number {
  const before = files.slice(0, file).reduce((sum, { units }) => sum + units, 0);
  return before + Math.min(results, files[file]?.units ?? 0);
}
