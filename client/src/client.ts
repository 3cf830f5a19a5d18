import type { ConnectionState, TokenSource } from "./connection.ts";
import { systemEnvironment, type Environment, type WebSocketConstructor } from "./environment.ts";
import type { SlipstreamError } from "./error.ts";
import type { Handlers, QueryEvent, RoomEvent } from "./events.ts";
import { createHttp, type Http, type HttpOptions } from "./http.ts";
import type { Published, RoomPresence } from "./http-types.ts";
import {
  LiveClient,
  type PlaceOptions,
  type QuerySubscription,
  type RoomSubscription,
} from "./live-client.ts";
import type { SearchAsYouTypeOptions, SearchStream } from "./search-stream.ts";
import type { Publication, StandingQuery } from "./values.ts";

const KEY_BYTES = 16;

export interface ClientOptions {
  /** Where the server is, as `http://127.0.0.1:8000`. */
  url: string;
  /** A token, or where to get one; it is asked again when the server says that the old one has expired. */
  token?: TokenSource;
  /** For programs without a global WebSocket, as Node 20: the `ws` package's class. */
  webSocket?: WebSocketConstructor;
  /** A secret of 16 to 64 letters and digits that makes a client that starts again the same member of its rooms. */
  session?: string;
  /** Longest wait for an answer, ms; 60,000 if not said, and at most 240,000 where keys are to make repetition safe. */
  timeoutMs?: number;
  fetch?: HttpOptions["fetch"];
  /** The connection's state has changed. */
  onState?: (state: ConnectionState) => void;
  /** Something went wrong that no call and no subscription answers for. */
  onError?: (error: SlipstreamError) => void;
}

export interface RoomOptions extends PlaceOptions {
  /** Hear who is in the room, and be seen there; a `presence` handler means it too. */
  withPresence?: boolean;
}

/** What makes a room's data typed. Data that it throws at is told to `onError` and passed by. */
export interface Parser<T> {
  parse: (data: unknown) => T;
}

interface RequestOptions {
  signal?: AbortSignal;
}

/** One connection to a server, made at the first use and kept until `close()`, and its HTTP API. */
export interface Client {
  readonly http: Http;
  readonly state: ConnectionState;
  /** Connects now; also after the server has closed for good. Resolves when connected. */
  connect(): Promise<void>;
  /** Ends everything: subscriptions end, waiting calls fail with `closed`. */
  close(): void;
  /** @throws SlipstreamError `already_subscribed` where this client reads the room already */
  subscribeRoom<T>(
    room: string,
    options: RoomOptions & Parser<T> & Handlers<RoomEvent<T>>,
  ): RoomSubscription<T>;
  subscribeRoom(
    room: string,
    options?: RoomOptions & Handlers<RoomEvent<unknown>>,
  ): RoomSubscription;
  /** @throws SlipstreamError `already_subscribed` where this client has that very query open */
  subscribeQuery(
    query: StandingQuery,
    options?: PlaceOptions & Handlers<QueryEvent>,
  ): QuerySubscription;
  /** Resolves after the server's COMMIT. Sent again after a reconnect, under a key that makes it one publication. */
  publish(
    room: string,
    data: unknown,
    options?: RequestOptions & { key?: string },
  ): Promise<Published>;
  /** Publications before or after an offset, at most 300 at once. */
  history(
    room: string,
    options?: RequestOptions & { before?: number; after?: number; limit?: number },
  ): Promise<{ items: readonly Publication[]; more: boolean; epoch: string }>;
  presence(room: string, options?: RequestOptions): Promise<RoomPresence>;
  searchAsYouType(options: SearchAsYouTypeOptions): SearchStream;
}

/** Connects at the first use. @throws TypeError where `url` is none */
export function createClient(options: ClientOptions): Client {
  return createClientIn(options, systemEnvironment(options.webSocket));
}

/** The same with a clock and sockets of the caller's. */
export function createClientIn(options: ClientOptions, environment: Environment): Client {
  const live = new LiveClient({ session: randomKey(), ...options }, environment);
  function subscribeRoom<T>(
    room: string,
    given: RoomOptions & Parser<T> & Handlers<RoomEvent<T>>,
  ): RoomSubscription<T>;
  function subscribeRoom(
    room: string,
    given?: RoomOptions & Handlers<RoomEvent<unknown>>,
  ): RoomSubscription;
  function subscribeRoom(
    room: string,
    given: RoomOptions & Partial<Parser<unknown>> & Handlers<RoomEvent<unknown>> = {},
  ): RoomSubscription {
    return live.subscribeRoom(room, { parse: (data) => data, ...given });
  }
  return {
    http: createHttp(options),
    get state() {
      return live.state;
    },
    connect: () => live.connect(),
    close: () => live.close(),
    subscribeRoom,
    subscribeQuery: (query, given = {}) => live.subscribeQuery(query, given),
    async publish(room, data, { key = randomKey(), signal } = {}) {
      const request = { type: "publish", room, data, key } as const;
      const { offset, ts, duplicate } = await live.ask(request, "published", signal);
      return { offset, ts, ...(duplicate === true ? { duplicate } : {}) };
    },
    async history(room, { signal, ...range } = {}) {
      const { items, more, epoch } = await live.ask(
        { type: "history", room, ...range },
        "history",
        signal,
      );
      return { items, more, epoch };
    },
    async presence(room, { signal } = {}) {
      const { count, members } = await live.ask({ type: "presence", room }, "presence", signal);
      return { room, count, members: [...(members ?? [])] };
    },
    searchAsYouType: (given) => live.searchAsYouType(given),
  };
}

/** By `getRandomValues`, since `randomUUID` is missing on pages that did not come over TLS. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
