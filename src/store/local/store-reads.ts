import { Problem } from "../../problems.ts";
import type { JobRead } from "../job-store.ts";
import type { StandingRead } from "../standing-store.ts";
import type { KeywordSearch, StoreRead } from "../store.ts";
import type { StoredQueryRead } from "../stored-query-store.ts";
import { chunkReadSql } from "./chunk-read-sql.ts";
import { collectionReadSql } from "./collection-read-sql.ts";
import { documentReadSql } from "./document-read-sql.ts";
import { factReadSql } from "./fact-read-sql.ts";
import { fileCheckSql } from "./file-check-sql.ts";
import { indexLogReadSql } from "./index-log-read-sql.ts";
import { jobReadSql } from "./job-read-sql.ts";
import { keywordReadSql } from "./keyword-read-sql.ts";
import { toProblem, type Connection } from "./open-database.ts";
import { roomReadSql } from "./room-read-sql.ts";
import { standingReadSql } from "./standing-read-sql.ts";
import { storedQueryReadSql } from "./stored-query-read-sql.ts";

/** What every store over a connection reads alike; what it says of itself is its own. */
export type StoreReads = Omit<StoreRead, "epoch" | "sequence">;

/**
 * The reads of the port over one connection. They run at once on the calling thread; the promises are the port's, whose
 * other implementations answer later.
 */
export function storeReads(connection: Connection): StoreReads {
  const collections = collectionReadSql(connection);
  const facts = factReadSql(connection);
  const file = fileCheckSql(connection);
  const documents = documentReadSql(connection);
  const chunks = chunkReadSql(connection);
  const indexLog = indexLogReadSql(connection);
  const words = keywordReadSql(connection);
  const rooms = roomReadSql(connection);
  // A request may hold a collection's row while another drops it.
  const live = (key: number): number => {
    if (collections.isLive(key)) return key;
    throw new Problem("collection_not_found", "The collection was dropped meanwhile.");
  };
  return {
    version: facts.version,
    collections: answered(collections.all),
    collection: answered(collections.byName),
    counts: answered(collections.counts),
    pendingTotal: answered(chunks.pendingTotal),
    aliases: answered(collections.aliases),
    document: answered(documents.document),
    documents: answered(documents.documents),
    countDocuments: answered(documents.countDocuments),
    chunksMatching: answered(chunks.chunksMatching),
    documentsMatching: answered(documents.documentsMatching),
    keyword: answered((search: KeywordSearch) => {
      live(search.collectionKey);
      return words.search(search);
    }),
    wordFrequencies: answered((key: number, forms: readonly string[]) => ({
      counts: words.wordFrequencies(live(key), forms),
      chunks: collections.counts(key).chunks,
    })),
    countKeyword: answered((search: Omit<KeywordSearch, "limit">) => {
      live(search.collectionKey);
      return words.count(search);
    }),
    documentsOfChunks: answered(chunks.documentsOfChunks),
    hits: answered(chunks.hits),
    facet: answered(documents.facet),
    pending: answered(chunks.pending),
    chunksUpTo: answered(chunks.chunksUpTo),
    indexState: answered(indexLog.state),
    indexLog: answered(indexLog.read),
    indexedKeys: answered(indexLog.keys),
    chunkTexts: answered(indexLog.texts),
    chunkVectors: answered(chunks.vectors),
    answer: answered(facts.answer),
    room: answered(rooms.room),
    rooms: answered(rooms.rooms),
    publications: answered(rooms.publications),
    lastPublications: answered(rooms.lastPublications),
    firstPublication: answered(rooms.firstPublication),
    ...standingReads(connection),
    ...storedQueryReads(connection),
    ...jobReads(connection),
    check: answered(file.check),
    diskBytes: answered(file.diskBytes),
    ping: answered(facts.ping),
  };
}

function standingReads(connection: Connection): StandingRead {
  const standing = standingReadSql(connection);
  return {
    changedDocuments: answered(standing.changedDocuments),
    changeList: answered(standing.changeList),
    countChanges: answered(standing.countChanges),
    changeBefore: answered(standing.changeBefore),
    embeddedUpTo: answered(standing.embeddedUpTo),
    documentContents: answered(standing.documentContents),
    standingState: answered(standing.standingState),
    standingInside: answered(standing.standingInside),
    standingGone: answered(standing.standingGone),
    standingLeft: answered(standing.standingLeft),
  };
}

function storedQueryReads(connection: Connection): StoredQueryRead {
  const queries = storedQueryReadSql(connection);
  return {
    storedQuery: answered(queries.storedQuery),
    storedQueries: answered(queries.storedQueries),
    storedQueryIds: answered(queries.storedQueryIds),
    webhooksWaiting: answered(queries.webhooksWaiting),
    webhookDeliveries: answered(queries.webhookDeliveries),
  };
}

function jobReads(connection: Connection): JobRead {
  const jobs = jobReadSql(connection);
  return {
    job: answered(jobs.job),
    jobs: answered(jobs.jobs),
    jobErrors: answered(jobs.jobErrors),
    jobCounts: answered(jobs.jobCounts),
    nextJobAtMs: answered(jobs.nextJobAtMs),
    ingestRun: answered(jobs.ingestRun),
  };
}

/** A call that gives a promise. SQLite tells of damage when it meets it: its errors become problems. */
function answered<Values extends unknown[], T>(
  read: (...values: Values) => T,
): (...values: Values) => Promise<T> {
  return async (...values) => {
    try {
      return read(...values);
    } catch (error) {
      throw toProblem(error);
    }
  };
}
