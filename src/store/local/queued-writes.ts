import { limits } from "../../limits.ts";
import { assert, Problem } from "../../problems.ts";
import type { JobWrite } from "../job-store.ts";
import type { Store } from "../store.ts";
import type { StoredQueryWrite } from "../stored-query-store.ts";
import type { CollectionWriteSql } from "./collection-write-sql.ts";
import type { documentWriteSql } from "./document-write-sql.ts";
import type { EmbedAgainSql } from "./embed-again-sql.ts";
import type { FactWriteSql } from "./fact-write-sql.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { JobWriteSql } from "./job-write-sql.ts";
import type { KeywordWriteSql } from "./keyword-write-sql.ts";
import type { RoomWriteSql } from "./room-write-sql.ts";
import type { StandingWriteSql } from "./standing-write-sql.ts";
import type { StoredQueryWriteSql } from "./stored-query-write-sql.ts";
import {
  SMALL_WRITE,
  sizeOfDeliveries,
  sizeOfDocuments,
  sizeOfIds,
  sizeOfJobProgress,
  sizeOfPublications,
  sizeOfStanding,
  sizeOfVectors,
} from "./write-budget.ts";

export interface WriteSql {
  collections: CollectionWriteSql;
  documents: ReturnType<typeof documentWriteSql>;
  embedAgain: EmbedAgainSql;
  facts: FactWriteSql;
  rooms: RoomWriteSql;
  standing: StandingWriteSql;
  stored: StoredQueryWriteSql;
  jobs: JobWriteSql;
  /** Undefined where no full-text tables are kept. */
  keyword: KeywordWriteSql | undefined;
}

/** The writes of the port that go through the queue, in the order in which they were called. */
export type QueuedWrites = Pick<
  Store,
  | "createCollection"
  | "setFusion"
  | "putAlias"
  | "removeAlias"
  | "putAnswer"
  | "writeDocuments"
  | "deleteDocuments"
  | "writeVectors"
  | "beginEmbedAgain"
  | "embedAgain"
  | "endEmbedAgain"
  | "appendPublications"
  | "configureRoom"
  | "forgetRoom"
  | "keepStanding"
  | "forgetStanding"
  | keyof StoredQueryWrite
  | keyof JobWrite
>;

/** Every one rejects with Problem `busy` where too much waits already. */
export function queuedWrites(group: GroupCommit, sql: WriteSql): QueuedWrites {
  const { collections, documents, facts, keyword, rooms, standing, stored, jobs } = sql;
  return {
    createCollection: (collection) =>
      group.add(SMALL_WRITE, () => {
        const row = collections.insert(collection, now());
        keyword?.create(row.key);
        return row;
      }),
    setFusion: (key, fusion) =>
      group.add(SMALL_WRITE, () => collections.setFusion(key, fusion, now())),
    putAlias: (name, key) => group.add(SMALL_WRITE, () => collections.putAlias(name, key)),
    removeAlias: (name) => group.add(SMALL_WRITE, () => collections.removeAlias(name)),
    putAnswer: (key, answer) => group.add(SMALL_WRITE, () => facts.putAnswer(key, answer)),
    async writeDocuments(key, writes) {
      assert(writes.length <= limits.documentsPerTransactionMax, "a transaction is bounded");
      return group.addTo(key, sizeOfDocuments(writes), (draft, live) => {
        requireLive(live);
        const time = now();
        return writes.map((write) => documents.write(draft, write, time));
      });
    },
    async deleteDocuments(key, ids) {
      assert(ids.length <= limits.documentsPerTransactionMax, "a transaction is bounded");
      return group.addTo(key, sizeOfIds(ids), (draft, live) => {
        requireLive(live);
        return ids.filter((id) => documents.delete(draft, id)).length;
      });
    },
    keepStanding: (update) =>
      group.add(sizeOfStanding(update), () => standing.keep(update, Date.now())),
    forgetStanding: (options) => group.add(SMALL_WRITE, () => standing.forgetSlice(options)),
    writeVectors: (key, vectors) =>
      group.addTo(key, sizeOfVectors(vectors), (draft) => {
        for (const vector of vectors) documents.writeVector(draft, vector);
      }),
    ...embedAgainWrites(group, sql),
    async appendPublications(publications, atMs) {
      assert(publications.length <= limits.publicationsPerWriteMax, "a write is bounded");
      return group.add(sizeOfPublications(publications), () => rooms.append(publications, atMs));
    },
    configureRoom: (name, settings) =>
      group.add(SMALL_WRITE, () => rooms.configure(name, settings)),
    forgetRoom: (name, head) => group.add(SMALL_WRITE, () => rooms.forget(name, head)),
    ...storedQueryWrites(group, stored),
    ...jobWrites(group, jobs),
  };
}

function embedAgainWrites(
  group: GroupCommit,
  { documents, embedAgain }: Pick<WriteSql, "documents" | "embedAgain">,
): Pick<Store, "beginEmbedAgain" | "embedAgain" | "endEmbedAgain"> {
  return {
    beginEmbedAgain: (key, modelSha256) =>
      group.add(SMALL_WRITE, () => embedAgain.begin(key, modelSha256)),
    async embedAgain(key, vectors) {
      assert(vectors.length <= limits.chunksEmbeddedAgainMax, "a write is bounded");
      return group.addTo(key, sizeOfVectors(vectors), (draft, live) => {
        requireLive(live);
        const replaced = vectors.filter((one) => documents.embedAgain(draft, one)).length;
        // Whoever remembers chunks until the next change has to read them again.
        if (replaced > 0) draft.sequence++;
        return replaced;
      });
    },
    endEmbedAgain: (key) => group.add(SMALL_WRITE, () => embedAgain.end(key)),
  };
}

function storedQueryWrites(group: GroupCommit, stored: StoredQueryWriteSql): StoredQueryWrite {
  return {
    addStoredQuery: (query) => group.add(SMALL_WRITE, () => stored.add(query, now())),
    removeStoredQuery: (id) => group.add(SMALL_WRITE, () => stored.remove(id)),
    async queueDeliveries(queued, atMs) {
      assert(queued.length <= limits.webhookQueriesPerWriteMax, "a write is bounded");
      return group.add(sizeOfDeliveries(queued), () => stored.queue(queued, atMs));
    },
    settleDeliveries: (id, settled) => group.add(SMALL_WRITE, () => stored.settle(id, settled)),
  };
}

function jobWrites(group: GroupCommit, jobs: JobWriteSql): JobWrite {
  return {
    addJob: (job, atMs) => group.add(SMALL_WRITE, () => jobs.add(job, atMs)),
    claimJob: (kinds, nowMs) => group.add(SMALL_WRITE, () => jobs.claim(kinds, nowMs)),
    saveJob: (id, progress) =>
      group.add(sizeOfJobProgress(progress), () => jobs.save(id, progress)),
    moveJob: (id, move) =>
      group.add("progress" in move ? sizeOfJobProgress(move.progress) : SMALL_WRITE, () =>
        jobs.move(id, move),
      ),
    markJobCancelling: (id) => group.add(SMALL_WRITE, () => jobs.markCancelling(id)),
    recoverJobs: (nowMs) => group.add(SMALL_WRITE, () => jobs.recover(nowMs)),
    pruneJobs: (options) => group.add(SMALL_WRITE, () => jobs.prune(options)),
  };
}

/** A request may hold a collection's row while another drops it. */
function requireLive(live: boolean): void {
  if (live) return;
  throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
}

function now(): string {
  return new Date().toISOString();
}
