import { LocalReader } from "./local-reader.ts";
import type { DataDirectoryStore } from "./local-store.ts";
import { announceUrl } from "./lock.ts";
import {
  SMALL_WRITE,
  sizeOfDeliveries,
  sizeOfDocuments,
  sizeOfIds,
  sizeOfJobProgress,
  sizeOfPublications,
  sizeOfStanding,
  sizeOfVectors,
  UNQUEUED,
} from "./write-budget.ts";
import { WriterThread, type WriterThreadOptions } from "./writer-thread.ts";

export type WriterStoreOptions = WriterThreadOptions;

/**
 * The store of a data directory with all writing in a Worker, so that no sync to disk holds this thread up. Reads run
 * here, at once, on a connection of their own, and see every write whose promise has resolved. `sequence` is the last
 * change number whose commit this thread has heard of. Where the Worker is lost, reads go on and writes reject.
 */
export type WriterStore = DataDirectoryStore;

export const WriterStore = {
  /**
   * Opens or makes a data directory. @throws Problem `data_locked`, `data_damaged`, `schema_newer`, `migration_failed`
   */
  async open(folder: string, options: WriterStoreOptions = {}): Promise<WriterStore> {
    const thread = await WriterThread.start(folder, options);
    try {
      return assemble(folder, thread, LocalReader.open(folder, options));
    } catch (error) {
      await thread[Symbol.asyncDispose]();
      throw error;
    }
  },
};

function assemble(folder: string, thread: WriterThread, reader: LocalReader): WriterStore {
  const { [Symbol.dispose]: closeReader, ...reads } = reader;
  let { sequence } = reader;
  thread.listen((commit) => (sequence = commit.sequence));
  return {
    ...reads,
    get sequence() {
      return sequence;
    },
    get transactions() {
      return thread.transactions;
    },
    get waiting() {
      return thread.waiting;
    },
    get isWritable() {
      return thread.isOpen;
    },
    ...writes(thread),
    onCommit: (listener) => thread.listen(listener),
    announce: (url) => announceUrl(folder, url),
    async [Symbol.asyncDispose]() {
      // First: the connection that writes then closes as the last one, and leaves no WAL behind.
      closeReader();
      await thread[Symbol.asyncDispose]();
    },
  };
}

function writes(thread: WriterThread) {
  return {
    createCollection: (...values) => thread.call("createCollection", values, SMALL_WRITE),
    setFusion: (...values) => thread.call("setFusion", values, SMALL_WRITE),
    dropCollection: (...values) => thread.call("dropCollection", values, SMALL_WRITE),
    putAlias: (...values) => thread.call("putAlias", values, SMALL_WRITE),
    removeAlias: (...values) => thread.call("removeAlias", values, SMALL_WRITE),
    putAnswer: (...values) => thread.call("putAnswer", values, SMALL_WRITE),
    writeDocuments: (...values) =>
      thread.call("writeDocuments", values, sizeOfDocuments(values[1])),
    deleteDocuments: (...values) => thread.call("deleteDocuments", values, sizeOfIds(values[1])),
    writeVectors: (...values) => thread.call("writeVectors", values, sizeOfVectors(values[1])),
    beginEmbedAgain: (...values) => thread.call("beginEmbedAgain", values, SMALL_WRITE),
    embedAgain: (...values) => thread.call("embedAgain", values, sizeOfVectors(values[1])),
    endEmbedAgain: (...values) => thread.call("endEmbedAgain", values, SMALL_WRITE),
    trimIndexLog: (...values) => thread.call("trimIndexLog", values, UNQUEUED),
    giveBack: (...values) => thread.call("giveBack", values, UNQUEUED),
    appendPublications: (...values) =>
      thread.call("appendPublications", values, sizeOfPublications(values[0])),
    configureRoom: (...values) => thread.call("configureRoom", values, SMALL_WRITE),
    forgetRoom: (...values) => thread.call("forgetRoom", values, SMALL_WRITE),
    trimRooms: (...values) => thread.call("trimRooms", values, UNQUEUED),
    keepStanding: (...values) => thread.call("keepStanding", values, sizeOfStanding(values[0])),
    forgetStanding: (...values) => thread.call("forgetStanding", values, SMALL_WRITE),
    addStoredQuery: (...values) => thread.call("addStoredQuery", values, SMALL_WRITE),
    removeStoredQuery: (...values) => thread.call("removeStoredQuery", values, SMALL_WRITE),
    queueDeliveries: (...values) =>
      thread.call("queueDeliveries", values, sizeOfDeliveries(values[0])),
    settleDeliveries: (...values) => thread.call("settleDeliveries", values, SMALL_WRITE),
    addJob: (...values) => thread.call("addJob", values, SMALL_WRITE),
    claimJob: (...values) => thread.call("claimJob", values, SMALL_WRITE),
    saveJob: (...values) => thread.call("saveJob", values, sizeOfJobProgress(values[1])),
    moveJob: (...values) =>
      thread.call(
        "moveJob",
        values,
        "progress" in values[1] ? sizeOfJobProgress(values[1].progress) : SMALL_WRITE,
      ),
    markJobCancelling: (...values) => thread.call("markJobCancelling", values, SMALL_WRITE),
    recoverJobs: (...values) => thread.call("recoverJobs", values, SMALL_WRITE),
    pruneJobs: (...values) => thread.call("pruneJobs", values, SMALL_WRITE),
    // It reads all of the file: here it would hold requests up.
    check: (...values) => thread.call("check", values, UNQUEUED),
  } satisfies Partial<WriterStore>;
}
