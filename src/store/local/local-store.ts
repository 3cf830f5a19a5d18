import type { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Fusion } from "../../contract/collections.ts";
import { limits } from "../../limits.ts";
import { assert, Problem } from "../../problems.ts";
import { getLogger } from "../../telemetry/logs.ts";
import type { Filter } from "../filter.ts";
import type {
  ChunkVector,
  CollectionRow,
  Commit,
  DocumentPage,
  DocumentWrite,
  KeywordSearch,
  NewCollection,
  Store,
  StoredAnswer,
  WrittenDocument,
} from "../store.ts";
import { aliasSql, collectionSql } from "./collection-sql.ts";
import { documentWriteSql, type CommitDraft } from "./document-sql.ts";
import { dropSql } from "./drop-sql.ts";
import { factSql } from "./fact-sql.ts";
import { indexLogSql, type IndexLogSql } from "./index-log-sql.ts";
import { keywordSql } from "./keyword-sql.ts";
import { DataLock } from "./lock.ts";
import { migrateUp } from "./migrations.ts";
import { connect, openDatabase, toProblem, type Connection } from "./open-database.ts";
import { upkeepSql } from "./upkeep-sql.ts";
import { chunkReadSql } from "./chunk-read-sql.ts";
import { documentReadSql } from "./document-read-sql.ts";

const log = getLogger("store");

export interface LocalStoreOptions {
  /** Keep a full-text table (FTS5) a collection in step, so that SQLite can answer keyword searches too. */
  fts5?: boolean;
}

/**
 * The store in one SQLite file of a data directory. Calls run at once on the calling thread; the promises are the
 * port's, whose other implementations answer later.
 */
export class LocalStore implements Store {
  readonly #connection: Connection;
  readonly #lock: DataLock;
  /** FTS5 tables are kept in step. */
  readonly #fts5: boolean;
  readonly #collections: ReturnType<typeof collectionSql>;
  readonly #aliases: ReturnType<typeof aliasSql>;
  readonly #keyword: ReturnType<typeof keywordSql>;
  readonly #indexLog: IndexLogSql;
  readonly #write: ReturnType<typeof documentWriteSql>;
  readonly #drop: ReturnType<typeof dropSql>;
  readonly #facts: ReturnType<typeof factSql>;
  readonly #upkeep: ReturnType<typeof upkeepSql>;
  readonly #documents: ReturnType<typeof documentReadSql>;
  readonly #chunks: ReturnType<typeof chunkReadSql>;
  readonly #listeners: ((commit: Commit) => void)[] = [];
  #sequence: number;
  #closed = false;
  /** Chunks removed since free pages were last given back. */
  #removed = 0;
  readonly epoch: string;

  /**
   * Opens or makes a data directory. @throws Problem `data_locked`, `data_damaged`, `schema_newer`, `migration_failed`
   */
  static async open(folder: string, { fts5 = false }: LocalStoreOptions = {}): Promise<LocalStore> {
    makeFolder(folder);
    const lock = takeLock(folder);
    let db: Database | undefined;
    try {
      const path = join(folder, "slipstream.db");
      db = openDatabase(path);
      const { from, backup } = migrateUp(db, path);
      if (backup !== undefined) log.info("database.migrated", { from, backup });
      const store = new LocalStore(connect(db), { lock, fts5 });
      store.#keyword.matchTables(fts5);
      await store.#finishDrops();
      return store;
    } catch (error) {
      db?.close();
      lock[Symbol.dispose]();
      throw toProblem(error);
    }
  }

  private constructor(connection: Connection, { lock, fts5 }: { lock: DataLock; fts5: boolean }) {
    this.#connection = connection;
    this.#lock = lock;
    this.#fts5 = fts5;
    this.#collections = collectionSql(connection);
    this.#aliases = aliasSql(connection);
    this.#keyword = keywordSql(connection);
    this.#indexLog = indexLogSql(connection);
    this.#write = documentWriteSql(connection, {
      keyword: fts5 ? this.#keyword : undefined,
      indexLog: this.#indexLog,
    });
    this.#drop = dropSql(connection);
    this.#facts = factSql(connection);
    this.#upkeep = upkeepSql(connection);
    this.#documents = documentReadSql(connection);
    this.#chunks = chunkReadSql(connection);
    this.epoch = this.#facts.epoch();
    this.#sequence = this.#facts.sequence();
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** Tells other processes where this one listens. */
  announce(url: string): void {
    this.#lock.announce(url);
  }

  onCommit(listener: (commit: Commit) => void): void {
    this.#listeners.push(listener);
  }

  async collections(): Promise<CollectionRow[]> {
    return this.#read(() => this.#collections.all());
  }
  async collection(name: string) {
    return this.#read(() => this.#collections.byName(name));
  }
  async counts(collectionKey: number) {
    return this.#read(() => this.#collections.counts(collectionKey));
  }
  async pendingTotal() {
    return this.#read(() => this.#chunks.pendingTotal());
  }
  async aliases() {
    return this.#read(() => this.#aliases.all());
  }
  async document(collectionKey: number, id: string) {
    return this.#read(() => this.#documents.document(collectionKey, id));
  }
  async documents(page: DocumentPage) {
    return this.#read(() => this.#documents.documents(page));
  }
  async countDocuments(collectionKey: number, filter?: Filter) {
    return this.#read(() => this.#documents.countDocuments(collectionKey, filter));
  }
  async chunksMatching(collectionKey: number, filter: Filter) {
    return this.#read(() => this.#chunks.chunksMatching(collectionKey, filter));
  }
  async documentsMatching(
    collectionKey: number,
    options: { filter?: Filter; without: readonly number[]; limit: number },
  ) {
    return this.#read(() => this.#documents.documentsMatching(collectionKey, options));
  }
  async keyword(search: KeywordSearch) {
    this.#requireLive(search.collectionKey);
    return this.#read(() => this.#keyword.search(search));
  }
  async wordFrequencies(collectionKey: number, forms: readonly string[]) {
    this.#requireLive(collectionKey);
    return this.#read(() => {
      const counts = this.#keyword.wordFrequencies(collectionKey, forms);
      return { chunks: this.#collections.counts(collectionKey).chunks, counts };
    });
  }
  async countKeyword(search: Omit<KeywordSearch, "limit">) {
    this.#requireLive(search.collectionKey);
    return this.#read(() => this.#keyword.count(search));
  }
  async documentsOfChunks(chunkKeys: readonly number[]) {
    return this.#read(() => this.#chunks.documentsOfChunks(chunkKeys));
  }
  async hits(chunkKeys: readonly number[]) {
    return this.#read(() => this.#chunks.hits(chunkKeys));
  }
  async facet(
    collectionKey: number,
    options: { path: readonly string[]; filter?: Filter; limit: number },
  ) {
    return this.#read(() => this.#documents.facet(collectionKey, options));
  }
  async pending({ after, limit }: { after: number; limit: number }) {
    return this.#read(() => this.#chunks.pending(after, limit));
  }
  async indexState(collectionKey: number) {
    return this.#read(() => this.#indexLog.state(collectionKey));
  }
  async indexLog(collectionKey: number, { after, limit }: { after: number; limit: number }) {
    return this.#read(() => this.#indexLog.read(collectionKey, after, limit));
  }
  async indexedKeys(
    collectionKey: number,
    { what, after, limit }: { what: "text" | "vector"; after: number; limit: number },
  ) {
    const read = what === "text" ? this.#indexLog.textKeys : this.#indexLog.vectorKeys;
    return this.#read(() => read(collectionKey, after, limit));
  }
  async chunkTexts(chunkKeys: readonly number[]) {
    return this.#read(() => this.#indexLog.texts(chunkKeys));
  }
  async chunkVectors(chunkKeys: readonly number[]) {
    return this.#read(() => this.#chunks.vectors(chunkKeys));
  }
  async answer(key: string): Promise<StoredAnswer | undefined> {
    return this.#read(() => this.#facts.answer(key));
  }
  async check() {
    return this.#upkeep.check();
  }
  async diskBytes() {
    return this.#upkeep.diskBytes();
  }
  async ping(): Promise<number> {
    const start = performance.now();
    this.#facts.ping();
    return performance.now() - start;
  }

  async createCollection(collection: NewCollection): Promise<CollectionRow> {
    return this.#transaction(() => {
      const row = this.#collections.insert(collection, now());
      if (this.#fts5) this.#keyword.create(row.key);
      return row;
    });
  }
  async setFusion(collectionKey: number, fusion: Required<Fusion>): Promise<void> {
    this.#transaction(() => this.#collections.setFusion(collectionKey, fusion, now()));
  }
  async dropCollection(collectionKey: number): Promise<void> {
    this.#transaction(() => this.#drop.hide(collectionKey));
    await this.#removeRows(collectionKey);
  }
  async putAlias(name: string, collectionKey: number): Promise<void> {
    this.#transaction(() => this.#aliases.put(name, collectionKey));
  }
  async removeAlias(name: string): Promise<boolean> {
    return this.#transaction(() => this.#aliases.remove(name));
  }
  async writeDocuments(
    collectionKey: number,
    documents: readonly DocumentWrite[],
  ): Promise<WrittenDocument[]> {
    assert(documents.length <= limits.documentsPerTransactionMax, "a transaction is bounded");
    return this.#commit(collectionKey, (draft) => {
      this.#requireLive(collectionKey);
      const time = now();
      return documents.map((document) => this.#write.write(draft, document, time));
    });
  }
  async deleteDocuments(collectionKey: number, ids: readonly string[]): Promise<number> {
    assert(ids.length <= limits.documentsPerTransactionMax, "a transaction is bounded");
    return this.#commit(collectionKey, (draft) => {
      this.#requireLive(collectionKey);
      return ids.filter((id) => this.#write.delete(draft, id)).length;
    });
  }
  async writeVectors(collectionKey: number, vectors: readonly ChunkVector[]): Promise<void> {
    this.#commit(collectionKey, (draft) => {
      for (const vector of vectors) this.#write.writeVector(draft, vector);
    });
  }
  async trimIndexLog(collectionKey: number, sequence: number): Promise<void> {
    // Requests go first between two slices; a store that is closed meanwhile leaves the rest to its next life.
    while (
      !this.#closed &&
      this.#relaxed(() => this.#indexLog.trimSlice(collectionKey, sequence))
    ) {
      await new Promise(setImmediate);
    }
  }
  async putAnswer(key: string, answer: StoredAnswer): Promise<void> {
    this.#transaction(() => this.#facts.putAnswer(key, answer));
  }

  async giveBack(): Promise<void> {
    await this.#vacuum(true);
    this.#upkeep.checkpoint();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    try {
      this.#upkeep.checkpoint();
    } catch (error) {
      // A full disk must not keep the process from ending; the WAL is replayed at the next open.
      log.warning("database.checkpoint_failed", { error });
    }
    this.#connection.close();
    this.#lock[Symbol.dispose]();
    log.info("database.closed");
  }

  /** A request may hold a collection's row while another drops it. @throws Problem `collection_not_found` */
  #requireLive(collectionKey: number): void {
    if (this.#collections.isLive(collectionKey)) return;
    throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
  }

  /** SQLite tells of damage when it meets it. */
  #read<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw toProblem(error);
    }
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
    db.run("PRAGMA synchronous = NORMAL");
    try {
      return this.#transaction(work);
    } finally {
      db.run("PRAGMA synchronous = FULL");
    }
  }

  #commit<T>(collectionKey: number, work: (draft: CommitDraft) => T): T {
    const { sequence: indexSequence } = this.#indexLog.state(collectionKey);
    const draft: CommitDraft = {
      collectionKey,
      sequence: this.#sequence,
      indexSequence,
      texts: [],
      documents: [],
      chunksRemoved: [],
      vectors: [],
      chunksAdded: 0,
      chunksPending: 0,
      chunkKeyLast: 0,
    };
    const result = this.#transaction(() => {
      const value = work(draft);
      if (draft.indexSequence !== indexSequence)
        this.#indexLog.advance(collectionKey, draft.indexSequence);
      if (draft.sequence !== this.#sequence) {
        this.#facts.setSequence(draft.sequence);
        this.#collections.addCounts(collectionKey, countsOf(draft));
      }
      return value;
    });
    this.#sequence = draft.sequence;
    for (const listener of this.#listeners) listener(draft);
    this.#removed += draft.chunksRemoved.length;
    if (this.#removed >= limits.chunksRemovedPerVacuum) {
      this.#removed = 0;
      void this.#vacuum(false);
    }
    return result;
  }

  /** Requests go first between two steps. */
  async #vacuum(all: boolean): Promise<void> {
    do await new Promise(setImmediate);
    while (!this.#closed && this.#relaxed(() => this.#upkeep.vacuumStep(all)));
  }

  async #finishDrops(): Promise<void> {
    for (const key of this.#drop.hidden()) await this.#removeRows(key);
  }

  async #removeRows(collectionKey: number): Promise<void> {
    this.#transaction(() => this.#keyword.drop(collectionKey));
    while (this.#transaction(() => this.#drop.removeSlice(collectionKey))) {
      // Requests go first between two slices.
      await new Promise(setImmediate);
    }
    await this.#vacuum(true);
  }
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

function countsOf({ documents, chunksAdded, chunksRemoved }: CommitDraft): {
  documents: number;
  chunks: number;
} {
  const change = { insert: 1, update: 0, delete: -1 } as const;
  return {
    documents: documents.reduce((sum, { kind }) => sum + change[kind], 0),
    chunks: chunksAdded - chunksRemoved.length,
  };
}

function now(): string {
  return new Date().toISOString();
}
