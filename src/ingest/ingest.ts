import type { JobDescription } from "../contract/jobs.ts";
import type { AddOptions } from "../jobs/job-kind.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { CollectionRow } from "../store/store.ts";
import { ingestKind, type IngestJobDeps } from "./ingest-job.ts";
import { Uploads, type IncomingFile } from "./uploads.ts";

export interface IngestDeps extends Omit<IngestJobDeps, "uploads"> {
  jobs: Jobs;
  /** Where files wait for their job. */
  folder: string;
}

/** Files into collections, by jobs. */
export function createIngest({ jobs, folder, ...deps }: IngestDeps) {
  const uploads = new Uploads(folder);
  const queue = jobs.register(ingestKind({ ...deps, uploads }));
  return {
    /** Removes what an earlier process has left of uploads without a job; before jobs are started. */
    open: (): Promise<void> => uploads.open((id) => jobs.isWanted(id)),
    /**
     * Stores files and queues the job that reads them. Its run is a new one where none is named. Resolves when both are on
     * the disk. @throws Problem as `Uploads.take` and `JobQueue.add`
     */
    async add(
      collection: CollectionRow,
      files: AsyncIterable<IncomingFile>,
      options: Pick<AddOptions, "priority" | "runId" | "requestId" | "traceparent"> = {},
    ): Promise<JobDescription> {
      const id = Bun.randomUUIDv7();
      const stored = await uploads.take(id, files);
      const payload = { collectionKey: collection.key, files: stored };
      const total = stored.reduce((sum, { units }) => sum + units, 0);
      const runId = options.runId ?? Bun.randomUUIDv7();
      try {
        const { name } = collection;
        return await queue.add(payload, { ...options, id, collection: name, total, runId });
      } catch (error) {
        await uploads.remove(id);
        throw error;
      }
    },
  };
}

export type Ingest = ReturnType<typeof createIngest>;
