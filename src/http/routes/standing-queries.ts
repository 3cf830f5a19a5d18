import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import {
  CreatedStandingQuerySchema,
  MatchesQuerySchema,
  MatchesSchema,
  MatchEventsQuerySchema,
  NewStandingQuerySchema,
  StandingQuerySchema,
} from "../../contract/standing-queries.ts";
import { ListQuerySchema, pageOf } from "../../contract/shared.ts";
import { Problem } from "../../problems.ts";
import type { StoredQueries } from "../../standing-queries/stored-queries.ts";
import { decodeCursor, pageLimit, toPage } from "../cursor.ts";
import type { EventStreams } from "../event-streams.ts";
import { parsePosition } from "../event-text.ts";

const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) });
const detail = { tags: ["Standing queries"] };
const noContent = { ...detail, responses: { 204: { description: "It is forgotten." } } };
const matchesDetail = {
  ...detail,
  description:
    "What changed since a position, scored again: of each document its last change. Without one, since the query was made.",
};
const eventsDetail = {
  ...detail,
  description:
    "Server-sent events: `match` with the match's frame as its data, and `lost` where the events since the position asked for cannot be given. A position is an event's id.",
  responses: {
    200: {
      description: "Events, for as long as the reader reads.",
      content: { "text/event-stream": { schema: { type: "string" as const } } },
    },
  },
};

export interface StandingQueryRouteDeps {
  storedQueries: StoredQueries;
  events: EventStreams;
}

/** Standing queries that are kept without a listener, with their webhooks. */
export const standingQueryRoutes = ({ storedQueries, events }: StandingQueryRouteDeps) =>
  new Elysia({ name: "standing-query-routes", prefix: "/api/v1/standing-queries" })
    .post("", async ({ body, status }) => status(201, await storedQueries.create(body)), {
      parse: "json",
      body: NewStandingQuerySchema,
      response: { 201: CreatedStandingQuerySchema },
      detail,
    })
    .get(
      "",
      async ({ query }) => {
        const limit = pageLimit(query.limit);
        const after = decodeCursor(query.cursor);
        return toPage(await storedQueries.list({ after, limit: limit + 1 }), limit, ({ id }) => id);
      },
      { query: ListQuerySchema, response: { 200: pageOf(StandingQuerySchema) }, detail },
    )
    .get("/:id", ({ params: { id } }) => storedQueries.get(id), {
      params,
      response: { 200: StandingQuerySchema },
      detail,
    })
    .delete(
      "/:id",
      async ({ params: { id }, status }) => {
        if (await storedQueries.remove(id)) return status(204, undefined);
        throw new Problem("standing_query_not_found", "No stored standing query has this id.");
      },
      { params, detail: noContent },
    )
    .get(
      "/:id/matches",
      ({ params: { id }, query: { since, ...page } }) =>
        storedQueries.matches(id, {
          ...page,
          since: since === undefined ? undefined : parsePosition(since),
        }),
      {
        params,
        query: MatchesQuerySchema,
        response: { 200: MatchesSchema },
        detail: matchesDetail,
      },
    )
    .get(
      "/:id/events",
      async ({ params: { id }, query, request }) =>
        events.open(request, { ...(await storedQueries.stream(id)), ...query }),
      { params, query: MatchEventsQuerySchema, detail: eventsDetail },
    );
