/** What a room keeps of its past: at most so many publications, none older than so many seconds. */
export interface StoredRoomSettings {
  /** 0 for a room whose publications are never stored. */
  historyMessages: number;
  historySeconds: number;
}

/** A room as it is stored. */
export interface RoomRow extends StoredRoomSettings {
  name: string;
  /** The last offset given out; offsets count 1, 2, 3 and none is left out or given twice. */
  head: number;
  /** Nothing up to this offset can be read. */
  floor: number;
  /** Counts the changes between a room with a past and one without. */
  life: number;
  /** False once it was deleted, until it is used again. */
  listed: boolean;
}

export interface NewPublication {
  room: string;
  /** JSON text. */
  data: string;
  from?: string;
  key?: string;
}

/** What became of publications, in their order. */
export interface AppendedPublications {
  /** Of each; 0 where it would have made a room more than there may be. */
  offsets: number[];
  /** Those whose key was used before: their offset is that of the first, which was published then. */
  repeated: { index: number; atMs: number }[];
}

export interface PublicationRow {
  offset: number;
  atMs: number;
  from: string | null;
  /** JSON text. */
  data: string;
}

/** Publications after one offset and up to another; a page ends at either bound and has at least one where there is any. */
export interface PublicationRange {
  after: number;
  upTo: number;
  limit: number;
  charactersMax: number;
}

/** What a store knows of rooms. */
export interface RoomRead {
  room(name: string): Promise<RoomRow | undefined>;
  /** By name, those after `after`, without deleted ones. */
  rooms(options: { after: string; limit: number }): Promise<RoomRow[]>;
  /** The first ones of a range, in order. */
  publications(room: string, range: PublicationRange): Promise<PublicationRow[]>;
  /** The last ones of a range, in order. */
  lastPublications(room: string, range: PublicationRange): Promise<PublicationRow[]>;
  /**
   * The first offset of a range that is stored and younger than `afterMs`; one past the range where none is. Found by
   * halving: the times of a room's publications only grow, but where the clock was set back.
   */
  firstPublication(
    room: string,
    range: Pick<PublicationRange, "after" | "upTo"> & { afterMs: number },
  ): Promise<number>;
}

/** The writes of rooms, each acknowledged after COMMIT. */
export interface RoomWrite {
  /**
   * Gives each publication the next offset of its room, in their order; rooms that are not there are made. All or none.
   * At most `limits.publicationsPerWriteMax`. @throws Problem `storage_full`, `busy`
   */
  appendPublications(
    publications: readonly NewPublication[],
    atMs: number,
  ): Promise<AppendedPublications>;
  /**
   * Sets what a room keeps, and makes it where it is not there. Its offsets go on after `head` where that is further than
   * its own. @throws Problem `limit_reached`
   */
  configureRoom(name: string, settings: StoredRoomSettings & { head: number }): Promise<RoomRow>;
  /** Forgets a room's publications and settings; its offsets go on. Undefined where there is no such room, or it was deleted. */
  forgetRoom(name: string, head: number): Promise<RoomRow | undefined>;
  /** Removes, in slices, what rooms need not keep any longer, and keys that are too old to be known. */
  trimRooms(nowMs: number): Promise<void>;
}

/** Rooms that tell of jobs: there are as many as jobs, so they have no past, and leave no row behind. */
const JOB_ROOM = /^jobs:/;

/** What a room of this name keeps when nobody has said. */
export function defaultSettingsOf(name: string): StoredRoomSettings {
  return JOB_ROOM.test(name) ? { historyMessages: 0, historySeconds: 0 } : DEFAULT_ROOM_SETTINGS;
}

/** What a room keeps when nobody has said: a day, or its last thousand messages. */
export const DEFAULT_ROOM_SETTINGS: StoredRoomSettings = {
  historyMessages: 1000,
  historySeconds: 24 * 60 * 60,
};
