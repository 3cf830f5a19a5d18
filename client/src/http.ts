import { SlipstreamError, type FieldError } from "./error.ts";
import type {
  Collection,
  CollectionInput,
  DeleteResult,
  Document,
  DocumentInput,
  Fusion,
  HistoryPage,
  NewStoredQuery,
  Page,
  Published,
  Room,
  RoomPresence,
  RoomSettings,
  SearchRequest,
  SearchResult,
  StoredMatches,
  StoredQuery,
  UpsertResult,
} from "./http-types.ts";
import type { TokenSource } from "./connection.ts";

export interface HttpOptions {
  /** Where the server is, as `http://127.0.0.1:8000`. */
  url: string;
  token?: TokenSource | undefined;
  /** Another `fetch`; the global one else. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** Longest time for one call, ms; 60,000 if not said. */
  timeoutMs?: number | undefined;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
}
export interface ListOptions extends CallOptions {
  /** 1 to 1000. */
  limit?: number;
  cursor?: string;
}

const TIMEOUT_MS = 60_000;

interface Call extends CallOptions {
  body?: unknown;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  key?: string | undefined;
}
type Caller = <T>(target: string, call?: Call) => Promise<T>;

/** The server's HTTP API. Every call throws SlipstreamError; one that was called off throws its signal's reason. */
export interface Http {
  collections: Collections;
  documents: Documents;
  rooms: Rooms;
  standingQueries: StandingQueries;
  search(collection: string, request: SearchRequest, options?: CallOptions): Promise<SearchResult>;
}

export interface Collections {
  create(collection: CollectionInput, options?: CallOptions): Promise<Collection>;
  get(name: string, options?: CallOptions): Promise<Collection>;
  list(options?: ListOptions): Promise<Page<Collection>>;
  configure(name: string, change: { fusion: Fusion }, options?: CallOptions): Promise<Collection>;
  drop(name: string, options?: CallOptions): Promise<void>;
}

export interface Documents {
  /** `wait`: answers when the vectors are searchable. `key`: a repeated call is one. */
  upsert(
    collection: string,
    documents: readonly DocumentInput[],
    options?: CallOptions & { wait?: "indexed"; key?: string },
  ): Promise<UpsertResult>;
  get(collection: string, id: string, options?: CallOptions): Promise<Document>;
  list(
    collection: string,
    options?: ListOptions & { filter?: Readonly<Record<string, unknown>> },
  ): Promise<Page<Document>>;
  delete(collection: string, id: string, options?: CallOptions): Promise<void>;
  deleteMany(
    collection: string,
    which: { ids: readonly string[] } | { filter: Readonly<Record<string, unknown>> },
    options?: CallOptions,
  ): Promise<DeleteResult>;
}

export interface Rooms {
  /** `key`: a repeated publication is one for five minutes. */
  publish(
    room: string,
    data: unknown,
    options?: CallOptions & { key?: string },
  ): Promise<Published>;
  history(
    room: string,
    options?: CallOptions & { before?: number; after?: number; limit?: number },
  ): Promise<HistoryPage>;
  presence(room: string, options?: CallOptions): Promise<RoomPresence>;
  get(room: string, options?: CallOptions): Promise<Room>;
  list(options?: ListOptions): Promise<Page<Room>>;
  configure(room: string, settings: RoomSettings, options?: CallOptions): Promise<Room>;
  /** Forgets the room's history. */
  delete(room: string, options?: CallOptions): Promise<void>;
}

/** Standing queries that are kept though nobody is connected. */
export interface StandingQueries {
  create(query: NewStoredQuery, options?: CallOptions): Promise<StoredQuery>;
  get(id: string, options?: CallOptions): Promise<StoredQuery>;
  list(options?: ListOptions): Promise<Page<StoredQuery>>;
  delete(id: string, options?: CallOptions): Promise<void>;
  /** `since`: `next` of the page before. */
  matches(
    id: string,
    options?: CallOptions & { since?: string; limit?: number },
  ): Promise<StoredMatches>;
}

/** Calls by `fetch`; nothing is repeated by itself. */
export function createHttp(options: HttpOptions): Http {
  const call: Caller = (target, given = {}) => callServer(options, { ...given, target });
  return {
    collections: collectionCalls(call),
    documents: documentCalls(call),
    rooms: roomCalls(call),
    standingQueries: standingQueryCalls(call),
    search: (name, body, { signal } = {}) =>
      call(`POST ${collectionPath(name)}/search`, { body, signal }),
  };
}

function collectionCalls(call: Caller): Collections {
  return {
    create: (body, options) => call("POST /collections", { body, ...options }),
    get: (name, options) => call(`GET ${collectionPath(name)}`, options),
    list: ({ signal, ...query } = {}) => call("GET /collections", { query, signal }),
    configure: (name, body, options) => call(`PATCH ${collectionPath(name)}`, { body, ...options }),
    drop: (name, options) => call(`DELETE ${collectionPath(name)}`, options),
  };
}

function documentCalls(call: Caller): Documents {
  return {
    upsert: (name, documents, { wait, key, signal } = {}) =>
      call(`POST ${documentsPath(name)}`, {
        body: { documents },
        query: { wait },
        key,
        signal,
      }),
    get: (name, id, options) => call(`GET ${documentPath(name, id)}`, options),
    list: (name, { signal, filter, ...rest } = {}) => {
      const query = { ...rest, filter: filter === undefined ? undefined : JSON.stringify(filter) };
      return call(`GET ${documentsPath(name)}`, { query, signal });
    },
    delete: (name, id, options) => call(`DELETE ${documentPath(name, id)}`, options),
    deleteMany: (name, body, options) =>
      call(`POST ${documentsPath(name)}/delete`, { body, ...options }),
  };
}

function roomCalls(call: Caller): Rooms {
  return {
    publish: (room, data, { key, signal } = {}) =>
      call(`POST ${roomPath(room)}/messages`, { body: { data }, key, signal }),
    history: (room, { signal, ...query } = {}) =>
      call(`GET ${roomPath(room)}/messages`, { query, signal }),
    presence: (room, options) => call(`GET ${roomPath(room)}/presence`, options),
    get: (room, options) => call(`GET ${roomPath(room)}`, options),
    list: ({ signal, ...query } = {}) => call("GET /rooms", { query, signal }),
    configure: (room, body, options) => call(`PUT ${roomPath(room)}`, { body, ...options }),
    delete: (room, options) => call(`DELETE ${roomPath(room)}`, options),
  };
}

function standingQueryCalls(call: Caller): StandingQueries {
  return {
    create: (body, options) => call("POST /standing-queries", { body, ...options }),
    get: (id, options) => call(`GET ${standingPath(id)}`, options),
    list: ({ signal, ...query } = {}) => call("GET /standing-queries", { query, signal }),
    delete: (id, options) => call(`DELETE ${standingPath(id)}`, options),
    matches: (id, { signal, ...query } = {}) =>
      call(`GET ${standingPath(id)}/matches`, { query, signal }),
  };
}

const collectionPath = (name: string) => `/collections/${encodeURIComponent(name)}`;
const documentsPath = (name: string) => `${collectionPath(name)}/documents`;
const documentPath = (name: string, id: string) =>
  `${documentsPath(name)}/${encodeURIComponent(id)}`;
const standingPath = (id: string) => `/standing-queries/${encodeURIComponent(id)}`;
const roomPath = (room: string) => `/rooms/${encodeURIComponent(room)}`;

async function callServer<T>(
  { url, token, fetch: given, timeoutMs = TIMEOUT_MS }: HttpOptions,
  { target, body, query = {}, key, signal }: Call & { target: string },
): Promise<T> {
  const [method = "GET", path = "/"] = target.split(" ");
  const headers = new Headers(body === undefined ? {} : { "content-type": "application/json" });
  const bearer = typeof token === "function" ? await token("connect") : token;
  if (bearer !== undefined) headers.set("authorization", `Bearer ${bearer}`);
  if (key !== undefined) headers.set("idempotency-key", key);
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await (given ?? fetch)(
      `${url.replace(/\/+$/, "")}/api/v1${path}${queryOf(query)}`,
      {
        method,
        headers,
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
    );
    const text = await response.text();
    if (!response.ok) throw errorOf(response, text);
    const answer: unknown = text === "" ? undefined : JSON.parse(text);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the shapes of answers are the server's contract, checked there against its schemas; http-types.ts is compared with them by a test
    return answer as T;
  } catch (cause) {
    if (cause instanceof SlipstreamError) throw cause;
    signal?.throwIfAborted();
    if (timeout.aborted) {
      throw new SlipstreamError("timeout", `No answer within ${timeoutMs} ms.`, { cause });
    }
    throw new SlipstreamError("network", "The server cannot be reached.", { cause });
  }
}

function queryOf(query: NonNullable<Call["query"]>): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return given.length === 0 ? "" : `?${given.join("&")}`;
}

/** RFC 9457 problem details; a proxy's page of HTML is named by its status. */
function errorOf({ status, statusText, headers }: Response, text: string): SlipstreamError {
  const problem = problemOf(text);
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return new SlipstreamError(problem.code ?? `http_${status}`, problem.detail ?? statusText, {
    status,
    requestId: problem.request_id ?? headers.get("x-request-id") ?? undefined,
    errors: problem.errors,
    retryAfterMs: Number.isNaN(seconds) ? undefined : seconds * 1000,
  });
}

interface ProblemDetails {
  code?: string;
  detail?: string;
  request_id?: string;
  errors?: readonly FieldError[];
}

function problemOf(text: string): ProblemDetails {
  try {
    const value: unknown = JSON.parse(text);
    return isProblem(value) ? value : {};
  } catch {
    return {};
  }
}

function isProblem(value: unknown): value is ProblemDetails {
  return (
    typeof value === "object" && value !== null && "code" in value && typeof value.code === "string"
  );
}
