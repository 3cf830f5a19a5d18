import { SlipstreamError } from "./error.ts";
import type {
  Handlers,
  Match,
  Message,
  Presence,
  QueryEvent,
  RoomEvent,
  StreamEvent,
} from "./events.ts";
import type { MatchFrame, MessageFrame, PresenceFrame } from "./frames.ts";
import type { StreamKind } from "./stream-reader.ts";
import type { StandingQuery } from "./values.ts";

export interface RoomKindOptions<T> {
  withPresence: boolean;
  parse: (data: unknown) => T;
  /** Data that `parse` threw at. */
  failed: (error: SlipstreamError) => void;
}

/** A room: dense offsets, messages and presence. */
export function roomKind<T>(
  room: string,
  { withPresence, parse, failed }: RoomKindOptions<T>,
): StreamKind<Message<T> | Presence> {
  return {
    key: `room ${room}`,
    request: { room, ...(withPresence ? { presence: true } : {}) },
    dense: true,
    event(frame) {
      if (frame.type === "presence") return presenceOf(frame);
      if (frame.type !== "message") return undefined;
      try {
        return messageOf(frame, parse(frame.data));
      } catch (cause) {
        const detail = `Message ${frame.offset} of ${room} could not be read.`;
        failed(new SlipstreamError("parse_failed", detail, { cause }));
        return undefined;
      }
    },
  };
}

/** A standing query: sparse offsets. */
export function queryKind(query: StandingQuery): StreamKind<Match> {
  return {
    key: `query ${JSON.stringify(query)}`,
    request: { query },
    dense: false,
    event: (frame) => (frame.type === "match" ? matchOf(frame) : undefined),
  };
}

/** Calls the handler of an event. */
export function dispatchRoom<T>(handlers: Handlers<RoomEvent<T>>, event: RoomEvent<T>): void {
  if (event.kind === "message") return handlers.message?.(event);
  if (event.kind === "presence") return handlers.presence?.(event);
  return dispatchStream(handlers, event);
}

/** Calls the handler of an event. */
export function dispatchQuery(handlers: Handlers<QueryEvent>, event: QueryEvent): void {
  if (event.kind === "match") return handlers.match?.(event);
  return dispatchStream(handlers, event);
}

function dispatchStream(handlers: Handlers<StreamEvent>, event: StreamEvent): void {
  switch (event.kind) {
    case "gap":
      return handlers.gap?.(event);
    case "recovered":
      return handlers.recovered?.(event);
    case "caughtUp":
      return handlers.caughtUp?.(event);
  }
}

function messageOf<T>(frame: MessageFrame, data: T): Message<T> {
  const { room, offset, ts, from } = frame;
  return { kind: "message", room, offset, ts, data, from };
}

function matchOf(frame: MatchFrame): Match {
  const { doc, version, event, score, offset, data = {}, replay = false } = frame;
  return { kind: "match", doc, version, event, score, offset, data, replay };
}

function presenceOf({ count, members, joined = [], left = [] }: PresenceFrame): Presence {
  return { kind: "presence", count, members, joined, left };
}
