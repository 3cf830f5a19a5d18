import { Type, type Static } from "@sinclair/typebox";
import { limits } from "../limits.ts";
import { RoomNameSchema } from "./rooms.ts";
import { HitSchema, SearchSchema } from "./search.ts";
import { LostReasonSchema, MatchEventSchema, StandingModeSchema } from "./standing-queries.ts";
import { FieldErrorSchema, JsonObjectSchema, NameSchema } from "./shared.ts";

/** The live protocol's name, and what a client may offer as its subprotocol. */
export const LIVE_PROTOCOL = "slipstream.v1";

/** Name of a request: its reply or its error has the same. */
const idSchema = Type.String({ minLength: 1, maxLength: 64 });
const offsetSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const positionSchema = Type.Object({
  epoch: Type.String({ minLength: 1, maxLength: 64 }),
  offset: offsetSchema,
});

const querySchema = Type.Object({
  text: Type.String({ minLength: 1, maxLength: limits.queryBytesMax }),
  collection: NameSchema,
  mode: StandingModeSchema,
  min_score: Type.Optional(Type.Number({ description: "Required unless mode is keyword" })),
  filter: Type.Optional(JsonObjectSchema),
  on: Type.Optional(Type.Array(MatchEventSchema, { minItems: 1, maxItems: 3 })),
  fields: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: limits.fieldPathBytesMax }), {
      maxItems: 32,
    }),
  ),
});

/** What a client asks for, by `type`. Fields that are not known are let be. */
export const LIVE_REQUESTS = {
  auth: Type.Object({
    type: Type.Literal("auth"),
    id: Type.Optional(idSchema),
    token: Type.String({ minLength: 1, maxLength: 4096 }),
  }),
  subscribe: Type.Object({
    type: Type.Literal("subscribe"),
    id: idSchema,
    room: Type.Optional(RoomNameSchema),
    query: Type.Optional(querySchema),
    since: Type.Optional(positionSchema),
    history: Type.Optional(Type.Integer({ minimum: 0, maximum: limits.historyMessagesMax })),
    presence: Type.Optional(Type.Boolean()),
  }),
  unsubscribe: Type.Object({
    type: Type.Literal("unsubscribe"),
    id: idSchema,
    sub: Type.String({ minLength: 1, maxLength: 256 }),
  }),
  publish: Type.Object({
    type: Type.Literal("publish"),
    id: idSchema,
    room: RoomNameSchema,
    data: Type.Unknown(),
    key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: limits.idempotencyKeyBytesMax,
        description: "Makes a repeated publication one",
      }),
    ),
  }),
  history: Type.Object({
    type: Type.Literal("history"),
    id: idSchema,
    room: RoomNameSchema,
    before: Type.Optional(offsetSchema),
    after: Type.Optional(offsetSchema),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.historyMessagesPerPage })),
  }),
  presence: Type.Object({ type: Type.Literal("presence"), id: idSchema, room: RoomNameSchema }),
  search: Type.Object({
    type: Type.Literal("search"),
    id: idSchema,
    collection: NameSchema,
    query: Type.String({ maxLength: limits.queryBytesMax }),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.liveSearchHitsMax })),
    stream: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: "A newer search of the same stream cancels the older one",
      }),
    ),
    parts: Type.Optional(
      Type.Boolean({ description: "What words alone find is sent first, as a part of its own" }),
    ),
    ...Type.Pick(SearchSchema, [
      "mode",
      "filter",
      "min_score",
      "highlight",
      "fields",
      "query_encoder",
      "typo",
    ]).properties,
    prefix: Type.Optional(
      Type.Boolean({ description: "The last word may be unfinished; the default with a stream" }),
    ),
  }),
  cancel: Type.Object({
    type: Type.Literal("cancel"),
    id: Type.Optional(idSchema),
    target: idSchema,
  }),
  ping: Type.Object({
    type: Type.Literal("ping"),
    id: Type.Optional(idSchema),
    t: Type.Optional(Type.Number()),
  }),
  pong: Type.Object({ type: Type.Literal("pong") }),
} as const;

type Requests = typeof LIVE_REQUESTS;

/** A request of one type. */
export type LiveRequest<T extends keyof Requests = keyof Requests> = Static<Requests[T]>;

const shownId = Type.String();
const sub = Type.String({ description: "`r:<room>`, `p:<room>` or `q:<hash>`" });
const offset = Type.Integer();
const messageFields = {
  offset,
  ts: Type.String({ description: "ISO 8601, UTC" }),
  data: Type.Unknown(),
  from: Type.Optional(Type.String({ description: "Session that published it" })),
};
const strings = Type.Array(Type.String());

/** What the server sends, by `type`. */
export const LIVE_FRAMES = {
  welcome: Type.Object({
    type: Type.Literal("welcome"),
    protocol: Type.Literal(LIVE_PROTOCOL),
    session: Type.String(),
    epoch: Type.String(),
    time: Type.String(),
    auth: Type.Union([Type.Literal("ok"), Type.Literal("required")]),
    heartbeat: Type.Object({ interval_ms: Type.Integer(), stale_ms: Type.Integer() }),
    limits: Type.Object({
      frame_bytes: Type.Integer(),
      subscriptions: Type.Integer(),
      rate: Type.Integer(),
      burst: Type.Integer(),
    }),
  }),
  authed: Type.Object({
    type: Type.Literal("authed"),
    id: Type.Optional(shownId),
    expires_at: Type.Union([Type.String(), Type.Null()]),
  }),
  subscribed: Type.Object({
    type: Type.Literal("subscribed"),
    id: shownId,
    sub,
    room: Type.Optional(Type.String()),
    epoch: Type.String(),
    offset,
    recovered: Type.Boolean(),
    reason: Type.Optional(LostReasonSchema),
    replay: Type.Integer(),
    min_score: Type.Optional(Type.Number()),
    model: Type.Optional(Type.String()),
  }),
  message: Type.Object({
    type: Type.Literal("message"),
    sub,
    room: Type.String(),
    ...messageFields,
  }),
  match: Type.Object({
    type: Type.Literal("match"),
    sub,
    offset,
    doc: Type.String(),
    version: Type.Integer(),
    event: MatchEventSchema,
    score: Type.Number(),
    data: Type.Optional(JsonObjectSchema),
    replay: Type.Optional(Type.Boolean()),
  }),
  caught_up: Type.Object({ type: Type.Literal("caught_up"), sub, offset }),
  progress: Type.Object({ type: Type.Literal("progress"), sub, offset }),
  unsubscribed: Type.Object({
    type: Type.Literal("unsubscribed"),
    id: Type.Optional(shownId),
    sub,
    code: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
  }),
  published: Type.Object({
    type: Type.Literal("published"),
    id: shownId,
    room: Type.String(),
    offset,
    ts: Type.String(),
    duplicate: Type.Optional(Type.Boolean()),
  }),
  history: Type.Object({
    type: Type.Literal("history"),
    id: shownId,
    room: Type.String(),
    epoch: Type.String(),
    items: Type.Array(Type.Object(messageFields)),
    more: Type.Boolean(),
  }),
  presence: Type.Object({
    type: Type.Literal("presence"),
    id: Type.Optional(shownId),
    sub,
    room: Type.String(),
    count: Type.Integer(),
    members: Type.Optional(strings),
    joined: Type.Optional(strings),
    left: Type.Optional(strings),
  }),
  results: Type.Object({
    type: Type.Literal("results"),
    id: shownId,
    stream: Type.Optional(Type.String()),
    part: Type.Union([Type.Literal("keyword"), Type.Literal("final")]),
    final: Type.Boolean(),
    hits: Type.Array(HitSchema),
    took_ms: Type.Number(),
    model: Type.String(),
    degraded: Type.Optional(Type.Boolean()),
  }),
  cancelled: Type.Object({
    type: Type.Literal("cancelled"),
    id: Type.Optional(shownId),
    by: Type.Optional(Type.String({ description: "The request that took its place" })),
    target: Type.Optional(Type.String({ description: "In the reply to `cancel`" })),
  }),
  ping: Type.Object({ type: Type.Literal("ping") }),
  pong: Type.Object({
    type: Type.Literal("pong"),
    id: Type.Optional(shownId),
    t: Type.Optional(Type.Number()),
    time: Type.String(),
  }),
  error: Type.Object({
    type: Type.Literal("error"),
    id: Type.Optional(shownId),
    sub: Type.Optional(sub),
    code: Type.String(),
    message: Type.String(),
    retry_after_ms: Type.Optional(Type.Integer()),
    problem: Type.Optional(Type.String({ description: "Code of the same failure over HTTP" })),
    errors: Type.Optional(Type.Array(FieldErrorSchema)),
  }),
  draining: Type.Object({
    type: Type.Literal("draining"),
    reconnect_after_ms: Type.Integer(),
    deadline_ms: Type.Integer(),
  }),
} as const;

type Frames = typeof LIVE_FRAMES;

/** A frame of the server of one type. */
export type LiveFrame<T extends keyof Frames = keyof Frames> = Static<Frames[T]>;
