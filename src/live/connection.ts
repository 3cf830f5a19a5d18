import type { ServerWebSocket } from "bun";
import type { LiveRequest } from "../contract/live.ts";
import type { CloseName } from "../problems.ts";
import type { SearchStream } from "./search-streams.ts";
import type { Strikes } from "./strikes.ts";
import type { Subscription } from "./subscription.ts";

/** A live connection as Bun has it. */
export type Socket = ServerWebSocket<Connection>;

/**
 * What is known of one connection. There are ten thousands of them: what few need is made when it is needed, and no
 * connection has a timer or a function of its own.
 */
export interface Connection {
  /** Public name of the client's session: others see it in presence and beside what it publishes. */
  readonly session: string;
  /** Taken in only to be told why it may not stay: a browser is not shown an answer of HTTP. */
  readonly refusal: CloseName | undefined;
  closed: boolean;

  /** When something was last heard of it, on the clock of `performance.now()`. */
  lastSeenMs: number;
  /** Which turn of the heartbeat wheel it has, and its place among those of that turn. */
  slot: number;
  place: number;
  /** Unsent bytes at the last sweep, and when it last took some of them, or had none that were too many. */
  bufferedBytes: number;
  drainedAtMs: number;

  /** What is left of the token bucket, and when that was. */
  tokens: number;
  tokensAtMs: number;
  strikes: Strikes | undefined;

  /** Requests that wait for the one that runs. */
  waiting: LiveRequest[] | undefined;
  running: boolean;
  paused: boolean;
  publishing: number;
  /** Answers to publications that go out together. */
  answers: string[] | undefined;
  /** Resolved when publications that are under way have ended. */
  published: PromiseWithResolvers<void> | undefined;
  /** Resolved when the socket has room again, or is closed. */
  drained: PromiseWithResolvers<void> | undefined;

  subscriptions: Map<string, Subscription> | undefined;
  /** Subscriptions whose past is being sent, the first of them now. */
  replays: Subscription[] | undefined;
  searches: Map<string, SearchStream> | undefined;
  /** Presence is not sent until the socket has room again. */
  presenceHeld: boolean;
}

/** A connection as it begins. `nowMs` is of `performance.now()`. */
export function newConnection(
  session: string,
  { nowMs, tokens, refusal }: { nowMs: number; tokens: number; refusal: CloseName | undefined },
): Connection {
  return {
    session,
    refusal,
    closed: false,
    lastSeenMs: nowMs,
    slot: -1,
    place: -1,
    bufferedBytes: 0,
    drainedAtMs: nowMs,
    tokens,
    tokensAtMs: nowMs,
    strikes: undefined,
    waiting: undefined,
    running: false,
    paused: false,
    publishing: 0,
    answers: undefined,
    published: undefined,
    drained: undefined,
    subscriptions: undefined,
    replays: undefined,
    searches: undefined,
    presenceHeld: false,
  };
}
