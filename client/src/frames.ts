import type { FieldError } from "./error.ts";
import type { Hit } from "./http-types.ts";
import type {
  LostReason,
  MatchKind,
  Mode,
  Position,
  Publication,
  StandingQuery,
} from "./values.ts";

// Frames of `slipstream.v1`: one JSON object a text frame, named by `type`.

/** A search on the socket, but for its words. */
export interface LiveSearch {
  collection: string;
  /** Hits of an answer, 1 to 100. */
  limit?: number;
  mode?: Mode;
  filter?: Readonly<Record<string, unknown>>;
  min_score?: number;
  highlight?: boolean;
  fields?: readonly ("title" | "text" | "metadata")[];
  query_encoder?: "full" | "fast" | "rescored";
  /** The last word may be unfinished; the default. */
  prefix?: boolean;
  typo?: boolean;
  /** What words alone find is answered first, as a part of its own. */
  parts?: boolean;
}

export interface Welcome {
  type: "welcome";
  protocol: string;
  session: string;
  epoch: string;
  time: string;
  auth: "ok" | "required";
  heartbeat: { interval_ms: number; stale_ms: number };
  limits: { frame_bytes: number; subscriptions: number; rate: number; burst: number };
}
export interface Subscribed {
  type: "subscribed";
  id: string;
  sub: string;
  epoch: string;
  offset: number;
  recovered: boolean;
  reason?: LostReason;
  replay: number;
  min_score?: number;
  model?: string;
}
export interface MessageFrame extends Publication {
  type: "message";
  sub: string;
  room: string;
}
export interface MatchFrame {
  type: "match";
  sub: string;
  offset: number;
  doc: string;
  version: number;
  event: MatchKind;
  score: number;
  data?: Readonly<Record<string, unknown>>;
  replay?: boolean;
}
export interface PresenceFrame {
  type: "presence";
  id?: string;
  sub: string;
  room: string;
  count: number;
  members?: readonly string[];
  joined?: readonly string[];
  left?: readonly string[];
}
/** The answer to `unsubscribe`, or a push with a reason: the server has ended it. */
export interface UnsubscribedFrame {
  type: "unsubscribed";
  id?: string;
  sub: string;
  code?: string;
  message?: string;
}
export interface CancelledFrame {
  type: "cancelled";
  id?: string;
  by?: string;
}
export interface ErrorFrame {
  type: "error";
  id?: string;
  sub?: string;
  code: string;
  message: string;
  retry_after_ms?: number;
  errors?: readonly FieldError[];
}

/** Answers to requests carry the request's `id`. */
export type ReplyFrame =
  | Subscribed
  | (UnsubscribedFrame & { id: string })
  | { type: "published"; id: string; offset: number; ts: string; duplicate?: boolean }
  | {
      type: "history";
      id: string;
      items: readonly Publication[];
      more: boolean;
      epoch: string;
    }
  | (PresenceFrame & { id: string })
  | {
      type: "results";
      id: string;
      part: "keyword" | "final";
      hits: readonly Hit[];
      took_ms: number;
      final: boolean;
    }
  | (CancelledFrame & { id: string });

export type ServerFrame =
  | Welcome
  | { type: "authed"; expires_at?: string | null }
  | Subscribed
  | MessageFrame
  | MatchFrame
  | { type: "caught_up"; sub: string; offset: number }
  | { type: "progress"; sub: string; offset: number }
  | UnsubscribedFrame
  | CancelledFrame
  | ReplyFrame
  | PresenceFrame
  | { type: "ping" }
  | { type: "pong" }
  | ErrorFrame
  | { type: "draining"; reconnect_after_ms: number; deadline_ms: number };

/** What a client asks; its `id` is added when it is sent. */
export type ClientRequest =
  | {
      type: "subscribe";
      room?: string;
      query?: StandingQuery;
      since?: Position;
      history?: number;
      presence?: boolean;
    }
  | { type: "unsubscribe"; sub: string }
  | { type: "publish"; room: string; data: unknown; key: string }
  | { type: "history"; room: string; before?: number; after?: number; limit?: number }
  | { type: "presence"; room: string }
  | ({ type: "search"; query: string; stream: string } & LiveSearch)
  | { type: "cancel"; target: string };

export type ClientFrame =
  | (ClientRequest & { id: string })
  | { type: "auth"; id: string; token: string }
  | { type: "pong" }
  | { type: "ping"; t: number };

type Kind = "string" | "number" | "boolean" | "object";
const ON_STREAM = { sub: "string", offset: "number" } as const;

/** What each frame cannot do without; more fields may come and are let be. */
const REQUIRED: { readonly [T in ServerFrame["type"]]: Readonly<Record<string, Kind>> } = {
  welcome: { heartbeat: "object", limits: "object" },
  authed: {},
  subscribed: { ...ON_STREAM, id: "string", epoch: "string", recovered: "boolean" },
  message: { ...ON_STREAM, ts: "string" },
  match: { ...ON_STREAM, doc: "string", version: "number", event: "string" },
  caught_up: ON_STREAM,
  progress: ON_STREAM,
  unsubscribed: { sub: "string" },
  published: { id: "string", offset: "number", ts: "string" },
  history: { id: "string", items: "object", more: "boolean" },
  presence: { sub: "string", count: "number" },
  results: { id: "string", hits: "object", final: "boolean" },
  cancelled: {},
  ping: {},
  pong: {},
  error: { code: "string" },
  draining: { reconnect_after_ms: "number" },
};

/** A frame of the server; undefined where it is none that this version knows. Never throws. */
export function decodeFrame(data: unknown): ServerFrame | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const value: unknown = JSON.parse(data);
    return isServerFrame(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Its required fields are what they should be; the rest is the server's word. */
function isServerFrame(value: unknown): value is ServerFrame {
  if (typeof value !== "object" || value === null) return false;
  const type: unknown = Reflect.get(value, "type");
  if (typeof type !== "string" || !isFrameType(type)) return false;
  return Object.entries(REQUIRED[type]).every(([name, kind]) => {
    const field: unknown = Reflect.get(value, name);
    return typeof field === kind && field !== null;
  });
}

function isFrameType(type: string): type is ServerFrame["type"] {
  return Object.hasOwn(REQUIRED, type);
}
