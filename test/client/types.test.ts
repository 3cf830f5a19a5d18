import type { Static } from "@sinclair/typebox";
import { expect, test } from "bun:test";
import type * as client from "../../client/src/index.ts";
import { decodeFrame, type ServerFrame } from "../../client/src/frames.ts";
import type { CollectionState, CreateCollectionSchema } from "../../src/contract/collections.ts";
import type {
  DeleteResultSchema,
  DocumentInput,
  DocumentState,
  UpsertResultSchema,
} from "../../src/contract/documents.ts";
import { LIVE_FRAMES, type LiveFrame } from "../../src/contract/live.ts";
import type {
  HistorySchema,
  PresenceSchema,
  PublishedSchema,
  PutRoomSchema,
  RoomSchema,
} from "../../src/contract/rooms.ts";
import type { SearchRequest, SearchResult } from "../../src/contract/search.ts";
import type {
  CreatedStandingQuery,
  Matches,
  NewStandingQuery,
  StandingQueryDetails,
} from "../../src/contract/standing-queries.ts";

/** The compiler refuses this where `From` does not fit into `To`. */
type Fits<From extends To, To> = From;

/** What the server answers is what the client says it does, and what the client sends is what the server takes. */
export type Contract = [
  Fits<CollectionState, client.Collection>,
  Fits<DocumentState, client.Document>,
  Fits<Static<typeof UpsertResultSchema>, client.UpsertResult>,
  Fits<Static<typeof DeleteResultSchema>, client.DeleteResult>,
  Fits<SearchResult, client.SearchResult>,
  Fits<Static<typeof PublishedSchema>, client.Published>,
  Fits<Static<typeof HistorySchema>, client.HistoryPage>,
  Fits<Static<typeof PresenceSchema>, client.RoomPresence>,
  Fits<Static<typeof RoomSchema>, client.Room>,
  Fits<client.RoomSettings, Static<typeof PutRoomSchema>>,
  Fits<StandingQueryDetails, client.StoredQuery>,
  Fits<CreatedStandingQuery, client.StoredQuery>,
  Fits<Matches, client.StoredMatches>,
  Fits<keyof client.NewStoredQuery, keyof NewStandingQuery>,
  Fits<keyof NewStandingQuery, keyof client.NewStoredQuery>,
  Fits<LiveFrame, ServerFrame>,
  Fits<keyof client.SearchRequest, keyof SearchRequest>,
  Fits<keyof SearchRequest, keyof client.SearchRequest>,
  Fits<keyof client.DocumentInput, keyof DocumentInput>,
  Fits<keyof DocumentInput, keyof client.DocumentInput>,
  Fits<keyof client.CollectionInput, keyof Static<typeof CreateCollectionSchema>>,
  Fits<keyof Static<typeof CreateCollectionSchema>, keyof client.CollectionInput>,
];

test("every frame that the server's contract has is one that the client knows", () => {
  const fields = {
    protocol: "slipstream.v1",
    session: "s",
    heartbeat: {},
    limits: {},
    id: "1",
    sub: "r:news",
    room: "news",
    offset: 1,
    epoch: "e",
    recovered: true,
    ts: "now",
    doc: "d",
    version: 1,
    event: "insert",
    items: [],
    more: false,
    count: 1,
    hits: [],
    final: true,
    code: "internal",
    reconnect_after_ms: 1,
  };
  for (const type of Object.keys(LIVE_FRAMES)) {
    expect(decodeFrame(JSON.stringify({ ...fields, type }))).toHaveProperty("type", type);
  }
});
