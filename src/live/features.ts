import type { SearchRequest, SearchResult } from "../contract/search.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { StandingQueries } from "../standing-queries/standing-queries.ts";

/** What connections can ask for. */
export interface LiveFeatures {
  rooms: Pick<Rooms, "publish" | "stream" | "listen" | "history" | "presence">;
  queries: Pick<StandingQueries, "open" | "listen" | "listenEnds">;
  /** A search of one collection, by its name or alias. @throws Problem as a search */
  search: (collection: string, request: SearchRequest) => Promise<SearchResult>;
  /** Random id of the database's life. */
  epoch: string;
}
