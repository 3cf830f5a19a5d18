import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import {
  EventsQuerySchema,
  HistoryQuerySchema,
  HistorySchema,
  PresenceSchema,
  PublishedSchema,
  PublishSchema,
  PutRoomSchema,
  RoomNameSchema,
  RoomSchema,
} from "../../contract/rooms.ts";
import { ListQuerySchema, pageOf } from "../../contract/shared.ts";
import { Problem } from "../../problems.ts";
import type { PublishOptions, Rooms } from "../../rooms/rooms.ts";
import { decodeCursor, pageLimit, toPage } from "../cursor.ts";
import type { EventStreams } from "../event-streams.ts";

const params = Type.Object({ room: RoomNameSchema });
const detail = { tags: ["Rooms"] };
const noContent = { ...detail, responses: { 204: { description: "Its past is forgotten." } } };
const eventsDetail = {
  ...detail,
  description:
    "Server-sent events: `message` with the message's frame as its data, and `lost` where the events since the position asked for cannot be given. A position is an event's id.",
  responses: {
    200: {
      description: "Events, for as long as the reader reads.",
      content: { "text/event-stream": { schema: { type: "string" as const } } },
    },
  },
};

export interface RoomRouteDeps {
  rooms: Rooms;
  events: EventStreams;
}

/** Rooms over HTTP: what a socket can do, for those who have none. */
export const roomRoutes = ({ rooms, events }: RoomRouteDeps) =>
  new Elysia({ name: "room-routes", prefix: "/api/v1/rooms" })
    .get(
      "",
      async ({ query }) => {
        const limit = pageLimit(query.limit);
        const after = decodeCursor(query.cursor);
        return toPage(await rooms.list({ after, limit: limit + 1 }), limit, (room) => room.name);
      },
      { query: ListQuerySchema, response: { 200: pageOf(RoomSchema) }, detail },
    )
    .get("/:room", ({ params: { room } }) => rooms.settings(room), {
      params,
      response: { 200: RoomSchema },
      detail,
    })
    .put("/:room", ({ params: { room }, body }) => rooms.configure(room, body), {
      params,
      parse: "json",
      body: PutRoomSchema,
      response: { 200: RoomSchema },
      detail,
    })
    .delete(
      "/:room",
      async ({ params: { room }, status }) => {
        if (!(await rooms.remove(room))) throw new Problem("room_not_found", "No such room.");
        return status(204, undefined);
      },
      { params, detail: noContent },
    )
    .post(
      "/:room/messages",
      async ({ params: { room }, body: { data, key }, request, status }) =>
        status(201, await rooms.publish(room, data, keyed(key, request))),
      {
        params,
        parse: "json",
        body: PublishSchema,
        response: { 201: PublishedSchema },
        detail,
      },
    )
    .get("/:room/messages", ({ params: { room }, query }) => rooms.history(room, query), {
      params,
      query: HistoryQuerySchema,
      response: { 200: HistorySchema },
      detail,
    })
    .get("/:room/presence", ({ params: { room } }) => rooms.presence.of(room), {
      params,
      response: { 200: PresenceSchema },
      detail,
    })
    .get(
      "/:room/events",
      ({ params: { room }, query, request }) => events.open(request, { room, ...query }),
      { params, query: EventsQuerySchema, detail: eventsDetail },
    );

/** The key that is in the body, or in the header; one may be in both. @throws Problem `invalid_request` */
function keyed(inBody: string | undefined, request: Request): PublishOptions {
  const inHeader = request.headers.get("idempotency-key") ?? inBody;
  if (inBody !== undefined && inHeader !== inBody) {
    throw new Problem("invalid_request", "The body's key and the header's are not the same.", {
      errors: [{ field: "/key", message: "must be the header's Idempotency-Key" }],
    });
  }
  return inHeader === undefined ? {} : { key: inHeader };
}
