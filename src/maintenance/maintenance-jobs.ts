import { Type } from "@sinclair/typebox";
import { endsWithin } from "../lib/within.ts";
import type { JobDescription } from "../contract/jobs.ts";
import { NO_MODEL } from "../engine/engine.ts";
import type { Engines } from "../engine/engines.ts";
import type { AddOptions, JobContext, JobKind } from "../jobs/job-kind.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { Problem } from "../problems.ts";
import type { CollectionRow, Store } from "../store/store.ts";
import { checkedIndex } from "./checked-index.ts";
import { embedAgain, requireModelOf } from "./embed-again.ts";
import type { Maintenance } from "./maintenance.ts";

export interface MaintenanceJobsDeps {
  jobs: Jobs;
  store: Store;
  engines: Engines;
  maintenance: Maintenance;
  collections: { forget(): void };
}

/** Operations on data that is there, as jobs. */
export function createMaintenanceJobs(deps: MaintenanceJobsDeps) {
  const compaction = deps.jobs.register(compactionKind(deps));
  const reindexing = deps.jobs.register(reindexKind(deps));
  return {
    compact: (options: AddOptions = {}): Promise<JobDescription> => compaction.add({}, options),
    /** Makes a collection's index files anew from the database. */
    reindex: (collection: CollectionRow, options: AddOptions = {}): Promise<JobDescription> =>
      reindexing.add(
        { collectionKey: collection.key },
        { ...options, collection: collection.name },
      ),
    /**
     * Embeds all of a collection again by the weights that are installed, and writes its index files anew. @throws Problem
     * `vector_required`, `unknown_model`, `dimensions_mismatch` where that cannot be done; `busy`
     */
    async embedAgain(collection: CollectionRow, options: AddOptions = {}): Promise<JobDescription> {
      requireModelOf(collection);
      const payload = { collectionKey: collection.key, embed: "all" as const };
      return reindexing.add(payload, { ...options, collection: collection.name });
    },
  };
}

export type MaintenanceJobs = ReturnType<typeof createMaintenanceJobs>;

const EmptySchema = Type.Object({});

function compactionKind({ maintenance }: MaintenanceJobsDeps): JobKind<typeof EmptySchema> {
  return {
    name: "compaction",
    payload: EmptySchema,
    unit: "collections",
    concurrency: 1,
    async run(_payload, { signal, report }) {
      const compacted = await maintenance.compact({
        signal,
        onProgress: (done, total) => report({ done, total }),
      });
      return { ...compacted };
    },
  };
}

const ReindexSchema = Type.Object({
  collectionKey: Type.Integer(),
  /** Vectors are made again, and not only read from the database. */
  embed: Type.Optional(Type.Literal("all")),
});

function reindexKind(deps: MaintenanceJobsDeps): JobKind<typeof ReindexSchema> {
  return {
    name: "reindex",
    payload: ReindexSchema,
    unit: "chunks",
    concurrency: 1,
    async run({ collectionKey, embed }, context) {
      const collection = await deps.store.collection(context.job.collection ?? "");
      if (collection?.key !== collectionKey) {
        throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
      }
      return (embed === "all" ? embedAgain : reindex)(deps, collection, context);
    },
  };
}

/** How often it is looked how far an index is. */
const LOOK_MS = 200;

/**
 * The index files are a cache of the database: they are removed and read again from it. Until that is done a search of the
 * collection finds what has been read, and the collection says that its index is degraded.
 */
async function reindex(
  { store, engines }: MaintenanceJobsDeps,
  collection: CollectionRow,
  { signal, report }: JobContext,
): Promise<Record<string, unknown>> {
  const { key: collectionKey } = collection;
  const { chunks, pendingEmbeddings } = await store.counts(collectionKey);
  const total = collection.model === NO_MODEL ? chunks : chunks - pendingEmbeddings;
  const look = async (): Promise<void> => {
    const index = await engines.report(collectionKey);
    report({ done: Math.min(total, index?.vectors ?? 0), total });
  };
  report({ done: 0, total });
  // Not to be left half done: a search would open the indexes again, and does so after a crash.
  const rebuilding = engines.rebuild(collection);
  while (!(await endsWithin(LOOK_MS, rebuilding))) await look();
  await rebuilding;
  signal.throwIfAborted();
  const checked = await checkedIndex(engines, collection);
  report({ done: total, total });
  return { chunks, ...checked };
}
