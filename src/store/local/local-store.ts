import type { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../problems.ts";
import type { Store } from "../store.ts";
import { BackgroundWrites } from "./background-writes.ts";
import { collectionReadSql } from "./collection-read-sql.ts";
import { collectionWriteSql } from "./collection-write-sql.ts";
import { documentWriteSql } from "./document-write-sql.ts";
import { dropSql } from "./drop-sql.ts";
import { embedAgainSql } from "./embed-again-sql.ts";
import { factReadSql } from "./fact-read-sql.ts";
import { factWriteSql } from "./fact-write-sql.ts";
import { GroupCommit } from "./group-commit.ts";
import { indexLogWriteSql } from "./index-log-write-sql.ts";
import { jobReadSql } from "./job-read-sql.ts";
import { jobWriteSql } from "./job-write-sql.ts";
import { keywordWriteSql } from "./keyword-write-sql.ts";
import { announceUrl, DataLock } from "./lock.ts";
import { migrateUp } from "./migrations.ts";
import {
  connect,
  openDatabase,
  toProblem,
  type Connection,
  type Durability,
} from "./open-database.ts";
import { queuedWrites } from "./queued-writes.ts";
import { roomReadSql } from "./room-read-sql.ts";
import { roomWriteSql } from "./room-write-sql.ts";
import { standingWriteSql } from "./standing-write-sql.ts";
import { storedQueryReadSql } from "./stored-query-read-sql.ts";
import { storedQueryWriteSql } from "./stored-query-write-sql.ts";
import type { TellEvent } from "./store-events.ts";
import { storeReads } from "./store-reads.ts";
import { upkeepSql } from "./upkeep-sql.ts";
import { SMALL_WRITE, type WriteSize } from "./write-budget.ts";

export interface LocalStoreOptions {
  /** Keep a full-text table (FTS5) a collection in step, so that SQLite can answer keyword searches too. */
  fts5?: boolean;
  /** What an acknowledged write outlives; `full` by default. */
  durability?: Durability;
  /** Documents in one transaction; the limit by default. 1 is one COMMIT for each write: what a bench compares with. */
  transactionDocumentsMax?: number;
  /** Gets what the log should say; this thread's log by default. */
  tell?: TellEvent;
}

/** What a store over a data directory has beside the port. */
export interface DataDirectoryStore extends Store {
  /** Tells other processes where this one listens. */
  announce(url: string): void;
  /** Transactions of the queue committed so far. */
  readonly transactions: number;
  /** What waits in the queue to be committed. */
  readonly waiting: WriteSize;
  /** False once the thread that writes is lost: from then on every write rejects. */
  readonly isWritable: boolean;
}

/**
 * The store in one SQLite file of a data directory, in the calling thread. Reads run at once; writes wait for the end of
 * the event loop's turn and are committed together.
 */
export type LocalStore = DataDirectoryStore;

export const LocalStore = {
  /**
   * Opens or makes a data directory. @throws Problem `data_locked`, `data_damaged`, `schema_newer`, `migration_failed`
   */
  async open(folder: string, options: LocalStoreOptions = {}): Promise<LocalStore> {
    const tell = options.tell ?? (await ownLog());
    makeFolder(folder);
    const lock = takeLock(folder);
    let db: Database | undefined;
    try {
      const path = join(folder, "slipstream.db");
      db = openDatabase(path, options.durability);
      const { from, backup } = migrateUp(db, path);
      if (backup !== undefined)
        tell({ level: "info", event: "database.migrated", fields: { from, backup } });
      return await assemble(connect(db), { ...options, tell, folder, lock });
    } catch (error) {
      db?.close();
      lock[Symbol.dispose]();
      throw toProblem(error);
    }
  },
};

interface Parts extends LocalStoreOptions {
  tell: TellEvent;
  folder: string;
  lock: DataLock;
}

async function assemble(connection: Connection, parts: Parts): Promise<LocalStore> {
  const { fts5 = false, durability = "full" } = parts;
  const facts = { ...factReadSql(connection), ...factWriteSql(connection) };
  const collections = collectionWriteSql(connection, collectionReadSql(connection));
  const fullText = keywordWriteSql(connection);
  const indexLog = indexLogWriteSql(connection);
  const drop = dropSql(connection);
  const rooms = roomWriteSql(connection, roomReadSql(connection));
  const standing = standingWriteSql(connection);
  const stored = storedQueryWriteSql(connection, storedQueryReadSql(connection));
  const jobs = jobWriteSql(connection, jobReadSql(connection));
  const upkeep = upkeepSql(connection);
  const keyword = fts5 ? fullText : undefined;
  const documents = documentWriteSql(connection, { keyword, indexLog });

  fullText.matchTables(fts5);
  const epoch = facts.epoch() ?? facts.setEpoch(crypto.randomUUID());
  const sql = { indexLog, keyword: fullText, drop, rooms, upkeep };
  const background = new BackgroundWrites(connection, sql, durability);
  await background.finishDrops();
  const sequence = facts.sequence();
  const group = new GroupCommit(connection, { ...parts, sequence, collections, facts });
  group.listen((commit) => background.removed(commit.chunksRemoved.length));
  return {
    epoch,
    get sequence() {
      return group.sequence;
    },
    get transactions() {
      return group.transactions;
    },
    get waiting() {
      return group.waiting;
    },
    isWritable: true,
    ...storeReads(connection),
    ...queuedWrites(group, {
      collections,
      documents,
      embedAgain: embedAgainSql(connection),
      facts,
      keyword,
      rooms,
      standing,
      stored,
      jobs,
    }),
    async dropCollection(key) {
      await group.add(SMALL_WRITE, () => drop.hide(key));
      await background.removeRows(key);
    },
    trimIndexLog: (key, upTo) => background.trimIndexLog(key, upTo),
    trimRooms: (nowMs) => background.trimRooms(nowMs),
    giveBack: () => background.giveBack(),
    onCommit: (listener) => group.listen(listener),
    announce: (url) => announceUrl(parts.folder, url),
    async [Symbol.asyncDispose]() {
      group[Symbol.dispose]();
      background[Symbol.dispose]();
      close(connection, { ...parts, checkpoint: upkeep.checkpoint });
    },
  };
}

function close(
  connection: Connection,
  { checkpoint, lock, tell }: Pick<Parts, "lock" | "tell"> & { checkpoint: () => void },
): void {
  try {
    checkpoint();
  } catch (error) {
    // A full disk must not keep the process from ending; the WAL is replayed at the next open.
    tell({ level: "warning", event: "database.checkpoint_failed", fields: { error } });
  }
  connection.close();
  lock[Symbol.dispose]();
  tell({ level: "info", event: "database.closed" });
}

/** Loaded when it is wanted only: it would be most of the start of a Worker, which has no log of its own. */
async function ownLog(): Promise<TellEvent> {
  return (await import("./log-event.ts")).logEvent;
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new Problem(
      "config_invalid",
      `DATA_DIR ${folder} is no folder and none can be made there.`,
      { cause: error },
    );
  }
}

function takeLock(folder: string): DataLock {
  try {
    return DataLock.take(folder);
  } catch (error) {
    throw toProblem(error);
  }
}
