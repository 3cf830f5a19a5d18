import { Type, type Static } from "@sinclair/typebox";
import { limits } from "../limits.ts";
import { JsonObjectSchema, NameSchema } from "./shared.ts";

/** By what a standing query finds documents. */
export const StandingModeSchema = Type.Union([
  Type.Literal("semantic"),
  Type.Literal("keyword"),
  Type.Literal("hybrid"),
]);
/** What a document did when a match tells of it. */
export const MatchEventSchema = Type.Union([
  Type.Literal("insert"),
  Type.Literal("update"),
  Type.Literal("leave"),
]);
/** Why a stream cannot be gone on with from a position. */
export const LostReasonSchema = Type.Union([
  Type.Literal("epoch_changed"),
  Type.Literal("too_old"),
  Type.Literal("ahead"),
]);
const fieldSchema = Type.String({ minLength: 1, maxLength: limits.fieldPathBytesMax });

/** A standing query to be stored. */
export const NewStandingQuerySchema = Type.Object(
  {
    collection: NameSchema,
    text: Type.String({ minLength: 1, maxLength: limits.queryBytesMax }),
    mode: StandingModeSchema,
    min_score: Type.Optional(Type.Number({ description: "Required unless mode is keyword" })),
    filter: Type.Optional(JsonObjectSchema),
    on: Type.Optional(
      Type.Array(MatchEventSchema, {
        minItems: 1,
        maxItems: 3,
        description: "What a match is told of; insert and update by default",
      }),
    ),
    fields: Type.Optional(
      Type.Array(fieldSchema, {
        maxItems: limits.standingFieldsMax,
        description: "What a match carries: title, text, metadata, metadata.<field>",
      }),
    ),
    webhook: Type.Optional(
      Type.Object(
        {
          url: Type.String({ minLength: 1, maxLength: limits.webhookUrlBytesMax }),
          secret: Type.Optional(
            Type.String({
              maxLength: 128,
              description: "whsec_ and the base64 of 24 to 64 bytes; made where it is not given",
            }),
          ),
        },
        { additionalProperties: false, description: "Where matches are sent" },
      ),
    ),
  },
  { additionalProperties: false },
);
export type NewStandingQuery = Static<typeof NewStandingQuerySchema>;

const WebhookSchema = Type.Object({
  url: Type.String(),
  offset: Type.Integer({ description: "All matches up to this change were queued" }),
  waiting: Type.Integer({ description: "Matches that wait to be sent" }),
  delivered: Type.Integer({ description: "Matches that were taken" }),
  given_up: Type.Integer({
    description: "Matches that were not, in as many tries as there may be",
  }),
  disabled_at: Type.Union([Type.String(), Type.Null()], {
    description: "When the receiver answered 410; nothing is sent any more",
  }),
  last_error: Type.Union(
    [Type.Object({ at: Type.String(), message: Type.String() }), Type.Null()],
    { description: "Of the last request; null where it was taken" },
  ),
});

const fields = {
  id: Type.String(),
  collection: Type.String(),
  text: Type.String(),
  mode: StandingModeSchema,
  min_score: Type.Number(),
  filter: Type.Optional(JsonObjectSchema),
  on: Type.Array(MatchEventSchema),
  fields: Type.Array(Type.String()),
  epoch: Type.String({ description: "Offsets mean nothing where it is another one" }),
  offset: Type.Integer({ description: "Its matches are those of the changes after this one" }),
  stream: Type.Union([Type.String(), Type.Null()], {
    description: "Its name on live connections; null while it is being opened after a start",
  }),
  error: Type.Union([Type.String(), Type.Null()], {
    description: "Why it cannot be opened; that is tried again",
  }),
  created_at: Type.String({ description: "ISO 8601, UTC" }),
};

/** A stored standing query. */
export const StandingQuerySchema = Type.Object(
  { ...fields, webhook: Type.Union([WebhookSchema, Type.Null()]) },
  { title: "StandingQuery" },
);
export type StandingQueryDetails = Static<typeof StandingQuerySchema>;

/** A stored standing query when it was made: the only time that its secret is shown. */
export const CreatedStandingQuerySchema = Type.Object({
  ...fields,
  webhook: Type.Union([
    Type.Composite([WebhookSchema, Type.Object({ secret: Type.String() })]),
    Type.Null(),
  ]),
});
export type CreatedStandingQuery = Static<typeof CreatedStandingQuerySchema>;

const positionSchema = Type.String({
  maxLength: 128,
  description: "`next` of the page before, or the id of the last event that was read",
});

export const MatchesQuerySchema = Type.Object({
  since: Type.Optional(positionSchema),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.storedMatchesPerPage })),
});

export const MatchEventsQuerySchema = Type.Object({ since: Type.Optional(positionSchema) });

/** A match as it is read and sent: a frame of the live protocol without its envelope. */
export const MatchSchema = Type.Object({
  offset: Type.Integer(),
  doc: Type.String(),
  version: Type.Integer(),
  event: MatchEventSchema,
  score: Type.Union([Type.Number(), Type.Null()]),
  data: JsonObjectSchema,
});

export const MatchesSchema = Type.Object({
  items: Type.Array(MatchSchema),
  next: Type.String({ description: "Position to go on from" }),
  more: Type.Boolean(),
  lost: Type.Optional(LostReasonSchema),
});
export type Matches = Static<typeof MatchesSchema>;
