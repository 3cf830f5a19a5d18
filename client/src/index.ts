// The package's one entry: what a program may use is named here, and everything else may change.
export {
  createClient,
  type Client,
  type ClientOptions,
  type Parser,
  type RoomOptions,
} from "./client.ts";
export type { ConnectionState, TokenReason, TokenSource } from "./connection.ts";
export type { WebSocketConstructor, WebSocketLike } from "./environment.ts";
export { SlipstreamError, type FieldError } from "./error.ts";
export type {
  CaughtUp,
  Gap,
  Handlers,
  Match,
  Message,
  Presence,
  QueryEvent,
  Recovered,
  RoomEvent,
  StreamEvent,
} from "./events.ts";
export type { LiveSearch } from "./frames.ts";
export { createHttp, type Http, type HttpOptions } from "./http.ts";
export type * from "./http-types.ts";
export type { PlaceOptions, QuerySubscription, RoomSubscription } from "./live-client.ts";
export type { LiveResults, SearchAsYouTypeOptions, SearchStream } from "./search-stream.ts";
export type { Ready, Subscription } from "./subscription.ts";
export type {
  LostReason,
  MatchKind,
  Mode,
  Position,
  Publication,
  StandingQuery,
} from "./values.ts";
