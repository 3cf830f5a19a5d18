/** Where the matches of a stored query are sent. */
export interface WebhookTarget {
  url: string;
  /** What requests are signed with: `whsec_` and base64. */
  secret: string;
}

/** A standing query to be kept without a listener. */
export interface NewStoredQuery {
  id: string;
  collectionKey: number;
  /** JSON text. */
  definition: string;
  /** The change number after which its matches begin. */
  offset: number;
  webhook: WebhookTarget | undefined;
}

/** A webhook as it is stored. */
export interface WebhookRow extends WebhookTarget {
  /** The change number up to which the query's matches were put into the queue. */
  offset: number;
  /** How many were taken, and how many were not in as many tries as there may be. */
  delivered: number;
  givenUp: number;
  /** How many wait to be sent. */
  waiting: number;
  /** When nothing more was to be sent there; null while it is. */
  disabledAtMs: number | null;
  /** Why the last request failed; null after one that did not. */
  error: string | null;
  errorAtMs: number | null;
}

export interface StoredQueryRow extends Omit<NewStoredQuery, "webhook"> {
  /** The collection's name now. */
  collection: string;
  createdAt: string;
  webhook: WebhookRow | undefined;
}

/** `lost`: matches between two change numbers are not known. */
export type DeliveryKind = "match" | "lost";

/** What waits to be sent to a webhook. */
export interface WebhookDelivery {
  /** In the order of the matches. Never given out twice. */
  id: number;
  kind: DeliveryKind;
  /** JSON text. */
  body: string;
  createdAtMs: number;
  /** Tries that failed. */
  attempts: number;
  nextAtMs: number;
  /** Of the change that it is of; null where no trace is known. */
  traceparent: string | null;
  tracestate: string | null;
}

/** A match on its way into a queue. */
export interface NewDelivery extends Pick<WebhookDelivery, "kind" | "body"> {
  trace?: { traceparent: string; tracestate: string | undefined };
}

/** Matches of one query, to be put into its queue. */
export interface QueuedDeliveries {
  queryId: string;
  /** Where its queue has to stand. */
  after: number;
  /** The change number up to which all its matches are in the queue then. */
  offset: number;
  deliveries: readonly NewDelivery[];
}

/** What came of sending the first deliveries of a query, up to the one with this id. */
export type SettledDeliveries = { upTo: number; atMs: number } & (
  | { kind: "delivered" }
  | { kind: "retry"; nextAtMs: number; error: string }
  | { kind: "given_up"; error: string }
  /** All that waits goes with it. */
  | { kind: "disabled"; error: string }
);

/** How much waits for a webhook. */
export interface WaitingDeliveries {
  queryId: string;
  count: number;
  /** Of their bodies. */
  characters: number;
}

/** What a store knows of stored queries. Those of collections that are being dropped are left out. */
export interface StoredQueryRead {
  storedQuery(id: string): Promise<StoredQueryRow | undefined>;
  /** In the order of their ids, those after one. */
  storedQueries(page: { after: string; limit: number }): Promise<StoredQueryRow[]>;
  storedQueryIds(): Promise<string[]>;
  webhooksWaiting(): Promise<WaitingDeliveries[]>;
  /** The first ones of a query. */
  webhookDeliveries(queryId: string, limit: number): Promise<WebhookDelivery[]>;
}

/** The writes of stored queries, each acknowledged after COMMIT. */
export interface StoredQueryWrite {
  /** @throws Problem `limit_reached`, `collection_not_found` */
  addStoredQuery(query: NewStoredQuery): Promise<StoredQueryRow>;
  /** Removes it and what waits for its webhook. True if there was one. */
  removeStoredQuery(id: string): Promise<boolean>;
  /**
   * Matches and how far they go, in one transaction. False for each query that is gone, whose webhook is disabled, or whose
   * queue does not stand where it has to.
   */
  queueDeliveries(queued: readonly QueuedDeliveries[], atMs: number): Promise<boolean[]>;
  settleDeliveries(queryId: string, settled: SettledDeliveries): Promise<void>;
}
