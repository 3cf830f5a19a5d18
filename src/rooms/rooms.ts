import type { Store } from "../store/store.ts";
import { getLogger } from "../telemetry/logs.ts";
import { Appender } from "./append.ts";
import { systemClock, type Clock } from "./clock.ts";
import { configuring } from "./configure.ts";
import { readHistory } from "./history.ts";
import type { FrameParts } from "./message-frame.ts";
import { LocalPresence, type Presence } from "./presence.ts";
import { requireRoomName } from "./publication.ts";
import { publishing } from "./publish.ts";
import { RecentFrames } from "./recent-frames.ts";
import { RememberedRooms } from "./remembered-rooms.ts";
import { Room, type RoomParts } from "./room.ts";
import type { FrameListener, LiveStream } from "./stream.ts";

const log = getLogger("rooms");

/** What a room keeps of its past. */
export interface RoomSettings {
  /** Messages kept; 0 is a room without a past, whose messages are never written to disk. */
  history_messages: number;
  history_seconds: number;
}

/** What whoever published is told. */
export interface Published {
  offset: number;
  /** ISO 8601, UTC. */
  ts: string;
  /** The key was used in this room within the last minutes: this is what came of it then. */
  duplicate?: true;
}

export interface PublishOptions {
  /** Makes a repeated publication one: within `limits.publicationKeyMs` it gets the first one's offset. */
  key?: string;
  /** Who sends it. */
  from?: string;
}

/** One message of a room's past. */
export interface Message {
  offset: number;
  ts: string;
  /** The JSON value that was published. */
  data: unknown;
  from?: string;
}

/** Messages in the order of their offsets. */
export interface HistoryPage {
  items: Message[];
  /** There are further ones in the direction that was asked for. */
  more: boolean;
  epoch: string;
  /** The last offset told to subscribers. */
  head: number;
  /** The lowest offset that can be read; one past the head where nothing is kept. */
  oldest: number;
}

export interface HistoryOptions {
  /** Only messages before this offset, the last ones first chosen. */
  before?: number;
  /** Only messages after this offset, the first ones first chosen. Never with `before`. */
  after?: number;
  /** At most `limits.historyMessagesPerPage`, which is the default; a page also ends at `limits.historyPageBytesMax`. */
  limit?: number;
}

/** A room as lists show it. */
export interface RoomState extends RoomSettings {
  name: string;
  head: number;
}

/** Rooms: named streams of messages with a past. Every method that takes a name throws Problem `invalid_request` for one that is none. */
export interface Rooms extends Disposable {
  /**
   * Resolves after COMMIT, when every listener has the frame. The room is made where there is none.
   * @throws Problem `invalid_request`, `too_large`, `too_deep`, `limit_reached`, `busy`, `storage_full`
   */
  publish(room: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /**
   * What a socket subscribes to; it writes nothing. `head()` is right once `resume` has answered. `read` throws Problem
   * `history_lost` where the room has removed what comes next while the replay was under way.
   */
  stream(room: string): LiveStream;
  /** Frames of all rooms, `sub` is `r:<room>`, and of presence, `sub` is `p:<room>` and `offset` 0. Must not throw. */
  listen(listener: FrameListener): void;
  history(room: string, options?: HistoryOptions): Promise<HistoryPage>;
  /** A room that nobody has published to or configured has the defaults. */
  settings(room: string): Promise<RoomState>;
  /** @throws Problem `invalid_request`, `limit_reached` */
  configure(room: string, settings: Partial<RoomSettings>): Promise<RoomState>;
  /** Forgets a room's past and its settings; its offsets go on where they were. False if there was none. */
  remove(room: string): Promise<boolean>;
  /** Rooms by name, those after `after`. */
  list(options: { after: string; limit: number }): Promise<RoomState[]>;
  readonly presence: Presence;
}

export interface RoomsOptions {
  store: Store;
  /** The machine's by default. */
  clock?: Clock;
}

/** How often what nobody has to know any longer is removed. */
const TRIM_MS = 60_000;

/** Rooms over a store, of which only this process writes rooms. */
export function createRooms({ store, clock = systemClock }: RoomsOptions): Rooms {
  const listeners: FrameListener[] = [];
  const hear: FrameListener = (sub, frame, offset) => {
    for (const listener of listeners) listener(sub, frame, offset);
  };
  const recent = new RecentFrames();
  const rooms = new RememberedRooms(
    (name) => makeRoom(name, { store, clock, recent }),
    (room) => recent.forget(room.sub),
  );
  const tell = (room: Room, parts: FrameParts): void =>
    hear(room.sub, room.advance(parts), parts.offset);
  const appender = new Appender({ store, clock, tell });
  const presence = new LocalPresence(clock, hear);
  const parts = { store, clock, rooms, appender, tell };
  const stopTrimming = trimRegularly(store, clock);
  return {
    ...publishing(parts),
    ...configuring({ ...parts, forget: (room) => recent.forget(room.sub) }),
    stream: (name) => rooms.get(name),
    listen: (listener) => void listeners.push(listener),
    history: (name, options = {}) => readHistory({ store, room: rooms.get(name) }, options),
    presence,
    [Symbol.dispose]() {
      stopTrimming();
      presence[Symbol.dispose]();
    },
  };
}

function makeRoom(name: string, parts: RoomParts): Room {
  requireRoomName(name);
  return new Room(name, parts);
}

/** Gives what stops it. */
function trimRegularly(store: Store, clock: Clock): () => void {
  let cancel: (() => void) | undefined;
  const wait = (): void => {
    cancel = clock.after(TRIM_MS, () => {
      // What cannot be removed now, as on a full disk, is removed at another time; it cannot be read either way.
      store
        .trimRooms(clock.now())
        .catch((error: unknown) => log.error("rooms.trim_failed", { error }));
      wait();
    });
  };
  wait();
  return () => cancel?.();
}
