import { limits } from "../../limits.ts";
import { Problem } from "../../problems.ts";
import type { JobProgress } from "../job-store.ts";
import type { NewPublication } from "../room-store.ts";
import type { StandingUpdate } from "../standing-store.ts";
import type { QueuedDeliveries } from "../stored-query-store.ts";
import type { ChunkVector, DocumentWrite } from "../store.ts";

/** What a write holds while it waits. */
export interface WriteSize {
  /** Documents, or what takes as long as one. */
  documents: number;
  bytes: number;
}

/** Of a collection, an alias, an answer: rows of a few hundred bytes. */
export const SMALL_WRITE: WriteSize = { documents: 1, bytes: 1024 };

/** Of work that does not wait in the queue. */
export const UNQUEUED: WriteSize = { documents: 0, bytes: 0 };

/** Fields of a document beside its texts and its vector, roughly. */
const FIELD_BYTES = 512;

/** Counts the writes that wait, so that their memory has a ceiling. */
export function writeBudget() {
  let documents = 0;
  let bytes = 0;
  return {
    /** @throws Problem `busy` where too much waits already; nothing is taken then */
    take(size: WriteSize): void {
      // One write alone is always let in: what it may hold is bounded elsewhere.
      const full =
        documents + size.documents > limits.writesQueuedDocumentsMax ||
        bytes + size.bytes > limits.writesQueuedBytesMax;
      if (full && documents > 0) {
        throw new Problem("busy", "Too many writes wait to be committed.", { retryAfterMs: 1000 });
      }
      documents += size.documents;
      bytes += size.bytes;
    },
    give(size: WriteSize): void {
      documents -= size.documents;
      bytes -= size.bytes;
    },
    /** What waits now. */
    taken: (): WriteSize => ({ documents, bytes }),
  };
}

/** The size of documents to be written. */
export function sizeOfDocuments(documents: readonly DocumentWrite[]): WriteSize {
  let bytes = 0;
  for (const { title, text, vector } of documents) {
    bytes += FIELD_BYTES + (title?.length ?? 0) + (text?.length ?? 0) + (vector?.byteLength ?? 0);
  }
  return { documents: documents.length, bytes };
}

/** The size of publications to be appended: eight take about as long as a document. */
export function sizeOfPublications(publications: readonly NewPublication[]): WriteSize {
  let bytes = 0;
  for (const { data } of publications) bytes += FIELD_BYTES + data.length;
  return { documents: Math.ceil(publications.length / 8), bytes };
}

/** The size of rows of standing queries: eight take about as long as a document. */
export function sizeOfStanding({ matches, queries }: StandingUpdate): WriteSize {
  const rows = matches.length + queries.length;
  return { documents: Math.ceil(rows / 8), bytes: rows * FIELD_BYTES };
}

/** The size of matches put into the queues of webhooks: eight rows take about as long as a document. */
export function sizeOfDeliveries(queued: readonly QueuedDeliveries[]): WriteSize {
  let rows = queued.length;
  let bytes = 0;
  for (const { deliveries } of queued) {
    rows += deliveries.length;
    for (const { body } of deliveries) bytes += body.length;
  }
  return { documents: Math.ceil(rows / 8), bytes: bytes + rows * FIELD_BYTES };
}

/** The size of what a job has done: eight of its errors take about as long as a document. */
export function sizeOfJobProgress({ newErrors }: JobProgress): WriteSize {
  return {
    documents: 1 + Math.ceil(newErrors.length / 8),
    bytes: SMALL_WRITE.bytes + newErrors.length * FIELD_BYTES,
  };
}

/** The size of documents to be deleted. */
export function sizeOfIds(ids: readonly string[]): WriteSize {
  return { documents: ids.length, bytes: ids.reduce((sum, id) => sum + id.length, 0) };
}

/** The size of vectors to be written: two take about as long as a document. */
export function sizeOfVectors(vectors: readonly ChunkVector[]): WriteSize {
  let bytes = 0;
  for (const { vector } of vectors) bytes += vector?.byteLength ?? 0;
  return { documents: Math.ceil(vectors.length / 2), bytes };
}
