import { limits } from "../../limits.ts";
import type { IndexLogWriteSql } from "./index-log-write-sql.ts";
import type { KeywordWriteSql } from "./keyword-write-sql.ts";
import type { dropSql } from "./drop-sql.ts";
import type { RoomWriteSql } from "./room-write-sql.ts";
import { setDurability, toProblem, type Connection, type Durability } from "./open-database.ts";
import type { upkeepSql } from "./upkeep-sql.ts";

export interface BackgroundSql {
  indexLog: IndexLogWriteSql;
  keyword: KeywordWriteSql;
  drop: ReturnType<typeof dropSql>;
  rooms: Pick<RoomWriteSql, "trimSlice">;
  upkeep: ReturnType<typeof upkeepSql>;
}

/**
 * Long work in slices, each a transaction of its own between the others: other writes go first between two slices. What
 * is cut off when the store closes is done in its next life.
 */
export class BackgroundWrites implements Disposable {
  readonly #connection: Connection;
  readonly #sql: BackgroundSql;
  readonly #durability: Durability;
  #closed = false;
  /** Chunks removed since free pages were last given back. */
  #removed = 0;

  constructor(connection: Connection, sql: BackgroundSql, durability: Durability) {
    this.#connection = connection;
    this.#sql = sql;
    this.#durability = durability;
  }

  /** Finishes the removals that were cut off. */
  async finishDrops(): Promise<void> {
    for (const key of this.#sql.drop.hidden()) await this.removeRows(key);
  }

  /** Removes what a hidden collection has, and it. */
  async removeRows(collectionKey: number): Promise<void> {
    if (this.#closed) return;
    this.#transaction(() => this.#sql.keyword.drop(collectionKey));
    await this.#inSlices(() => this.#transaction(() => this.#sql.drop.removeSlice(collectionKey)));
    await this.#vacuum(true);
  }

  /** Cuts a collection's index log off up to a number. */
  trimIndexLog(collectionKey: number, sequence: number): Promise<void> {
    return this.#inSlices(() =>
      this.#relaxed(() => this.#sql.indexLog.trimSlice(collectionKey, sequence)),
    );
  }

  /** Removes what rooms need not keep at that time. */
  trimRooms(nowMs: number): Promise<void> {
    return this.#inSlices(() => this.#relaxed(() => this.#sql.rooms.trimSlice(nowMs)));
  }

  /** Hears of chunks that were removed: after many, free pages are given back. */
  removed(chunks: number): void {
    this.#removed += chunks;
    if (this.#removed < limits.chunksRemovedPerVacuum) return;
    this.#removed = 0;
    void this.#vacuum(false);
  }

  /** Gives all free room back to the file system, that of the WAL too. */
  async giveBack(): Promise<void> {
    await this.#vacuum(true);
    if (!this.#closed) this.#sql.upkeep.checkpoint();
  }

  /** Gives free pages back: all, or those that are not worth keeping. */
  async #vacuum(all: boolean): Promise<void> {
    await new Promise(setImmediate);
    await this.#inSlices(() => this.#relaxed(() => this.#sql.upkeep.vacuumStep(all)));
  }

  /** No further slice begins. */
  [Symbol.dispose](): void {
    this.#closed = true;
  }

  /** Runs slices while they say that more remains. */
  async #inSlices(slice: () => boolean): Promise<void> {
    while (!this.#closed && slice()) await new Promise(setImmediate);
  }

  #transaction<T>(work: () => T): T {
    try {
      return this.#connection.db.transaction(work).immediate();
    } catch (error) {
      throw toProblem(error);
    }
  }

  /** For what may be lost with the machine's power, and is done again then: no sync holds the thread up. */
  #relaxed<T>(work: () => T): T {
    const { db } = this.#connection;
    setDurability(db, "relaxed");
    try {
      return this.#transaction(work);
    } finally {
      setDurability(db, this.#durability);
    }
  }
}
