import type { Step } from "../lib/timeline.ts";
import type { Failure } from "../failure.ts";
import type { CollectionRow } from "../store/store.ts";

/** A request that an engine answers as the server would: what came in, but for what only the socket knows. */
export interface EngineRequest {
  method: string;
  /** Path and query. */
  target: string;
  contentType: string | null;
  body: Uint8Array | null;
  requestId: string;
  /** Engines ended over this request before: it is answered without what they may have ended over. */
  degraded?: boolean;
  /** Of the trace that the request belongs to. */
  traceparent?: string | undefined;
}

/** A finished answer. */
export interface EngineAnswer {
  status: number;
  contentType: string;
  body: Uint8Array;
  retryAfter: string | null;
  /** What is behind an answer of 500 or more, for the log. */
  error: { type: string; message: string; stack: string | undefined } | undefined;
}

/** What goes down to a child. */
export type ToChild =
  | { type: "start"; options: unknown }
  | { type: "call"; id: number; name: string; args: unknown }
  | { type: "tell"; name: string; args: unknown }
  | { type: "stop" };

/** What a call has given. */
export interface CallResult {
  id: number;
  value: unknown;
}

/** What comes back. */
export type FromChild =
  | { type: "ready"; suspicious: boolean; steps: readonly Step[] }
  | { type: "results"; results: readonly CallResult[] }
  | { type: "failure"; id: number; failure: Failure }
  | { type: "sealed"; collectionKey: number; sequence: number }
  | { type: "log"; line: string };

/** Texts to be embedded by a model. */
export interface EmbedArgs {
  model: string;
  texts: readonly string[];
}

/** Documents as they came, to be checked and cut into chunks; `ids` for those that have none, by their place. */
export interface PrepareArgs {
  collection: CollectionRow;
  inputs: readonly unknown[];
  ids: readonly string[];
}
