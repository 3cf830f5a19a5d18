import { Type, type Static } from "@sinclair/typebox";
import { limits } from "../limits.ts";

/** Name of a room. */
export const RoomNameSchema = Type.String({
  pattern: `^[A-Za-z0-9_.:-]{1,${limits.roomNameBytesMax}}$`,
  description: `1 to ${limits.roomNameBytesMax} of A-Z a-z 0-9 _ . : -`,
});

const OffsetSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const settings = {
  history_messages: Type.Integer({
    minimum: 0,
    maximum: limits.historyMessagesMax,
    description:
      "Messages kept; 0 is a room without a past, whose messages are never written to disk",
  }),
  history_seconds: Type.Integer({ minimum: 0, maximum: limits.historySecondsMax }),
};

export const PutRoomSchema = Type.Partial(Type.Object(settings), { additionalProperties: false });

export const RoomSchema = Type.Object(
  {
    name: Type.String(),
    head: Type.Integer({ description: "Offset of the last message" }),
    ...settings,
  },
  { title: "Room" },
);

export const PublishSchema = Type.Object(
  {
    data: Type.Unknown({
      description: `Any JSON value of at most ${limits.messageBytesMax} bytes`,
    }),
    key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: limits.idempotencyKeyBytesMax,
        description:
          "A publication that is repeated with its key within five minutes is one; the header Idempotency-Key says the same",
      }),
    ),
  },
  { additionalProperties: false },
);

export const PublishedSchema = Type.Object({
  offset: Type.Integer({ description: "1, 2, 3 and so on in each room, without a hole" }),
  ts: Type.String({ description: "ISO 8601, UTC" }),
  duplicate: Type.Optional(Type.Literal(true)),
});

export const HistoryQuerySchema = Type.Object({
  after: Type.Optional(OffsetSchema),
  before: Type.Optional(OffsetSchema),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.historyMessagesPerPage })),
});

export const HistorySchema = Type.Object({
  items: Type.Array(
    Type.Object({
      offset: Type.Integer(),
      ts: Type.String(),
      data: Type.Unknown(),
      from: Type.Optional(Type.String()),
    }),
  ),
  more: Type.Boolean({ description: "There are further ones in the direction asked for" }),
  epoch: Type.String({ description: "Offsets mean nothing where it is another one" }),
  head: Type.Integer({ description: "Offset of the last message" }),
  oldest: Type.Integer({ description: "Lowest offset that can be read; past the head if none" }),
});

export const EventsQuerySchema = Type.Object({
  since: Type.Optional(
    Type.String({
      maxLength: 128,
      description: "Id of the last event that was read; the header Last-Event-ID goes before it",
    }),
  ),
  history: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: limits.historyMessagesMax,
      description: "Without a position: begin with that many of the last messages",
    }),
  ),
});

export const PresenceSchema = Type.Object({
  room: Type.String(),
  count: Type.Integer({ description: "Sessions that are in the room" }),
  members: Type.Array(Type.String(), { description: "Some of them" }),
});

/** What an `event: lost` holds: the messages since the position asked for cannot be given. */
export const LostEventSchema = Type.Object({
  reason: Type.Union([
    Type.Literal("epoch_changed"),
    Type.Literal("too_old"),
    Type.Literal("ahead"),
  ]),
  epoch: Type.String(),
  offset: Type.Integer({ description: "Events go on after this one" }),
});
export type LostEvent = Static<typeof LostEventSchema>;

/** The name on the wire, and the topic, of who is in a room. */
export function presenceSub(room: string): string {
  return `p:${room}`;
}
