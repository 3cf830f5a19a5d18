import type { Failure } from "../../failure.ts";
import type { JobWrite } from "../job-store.ts";
import type { Commit } from "../store.ts";
import type { StoredQueryWrite } from "../stored-query-store.ts";
import type { LocalStore, LocalStoreOptions } from "./local-store.ts";
import type { StoreEvent } from "./store-events.ts";

/** What the thread that writes is asked for by the others: the methods of its store by their names. */
export type WriterMethod =
  | "createCollection"
  | "setFusion"
  | "dropCollection"
  | "putAlias"
  | "removeAlias"
  | "writeDocuments"
  | "deleteDocuments"
  | "writeVectors"
  | "beginEmbedAgain"
  | "embedAgain"
  | "endEmbedAgain"
  | "trimIndexLog"
  | "putAnswer"
  | "giveBack"
  | "appendPublications"
  | "configureRoom"
  | "forgetRoom"
  | "trimRooms"
  | "keepStanding"
  | "forgetStanding"
  | keyof StoredQueryWrite
  | keyof JobWrite
  | "check";

/** `Value` is `unknown` where it is sent, and where it is received `never`: what every method takes. */
export interface WriterCall<Value> {
  id: number;
  method: WriterMethod;
  values: readonly Value[];
}

/** Calls of `writeDocuments` on their way to another thread. */
export interface PackedWrites {
  kind: "packed";
  /** JSON of the calls, in order: id, collection and documents, with the length of a vector in its place. */
  text: string;
  /** All vectors, one after the other. */
  vectors: Float32Array<ArrayBuffer>;
}

/** The settings of a store that can be sent. */
export type WriterOptions = Omit<LocalStoreOptions, "tell">;

export type ToWriter<Value> =
  | { kind: "open"; folder: string; options: WriterOptions }
  | { kind: "calls"; calls: readonly WriterCall<Value>[] }
  | PackedWrites
  | { kind: "close" };

/** `Value` as with the calls: who waits for the answer knows what it is. */
export type WriterAnswer<Value> =
  | { id: number; ok: true; value: Value }
  | { id: number; ok: false; failure: Failure };

export type FromWriter<Value> =
  | { kind: "opened" }
  | { kind: "refused"; failure: Failure }
  /** Commits come before the answers that they belong to. */
  | { kind: "answers"; commits: Commit[]; answers: WriterAnswer<Value>[]; transactions: number }
  | { kind: "event"; event: StoreEvent }
  | { kind: "closed"; failure?: Failure };

/** What a method of the store is called with, and what its promise gives. */
export type ValuesOf<M extends WriterMethod> = Parameters<LocalStore[M]>;
export type ResultOf<M extends WriterMethod> = Awaited<ReturnType<LocalStore[M]>>;
