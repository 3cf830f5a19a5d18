import { limits } from "../../limits.ts";
import { assert, Problem } from "../../problems.ts";
import {
  DEFAULT_ROOM_SETTINGS,
  type AppendedPublications,
  type NewPublication,
  type RoomRow,
  type StoredRoomSettings,
} from "../room-store.ts";
import type { Connection } from "./open-database.ts";
import type { RoomReadSql } from "./room-read-sql.ts";
import { roomTrimSql, type TrimmedRoom } from "./room-trim-sql.ts";

/** A room while a transaction gives out its offsets. */
interface AppendingRoom extends TrimmedRoom {
  /** Before the transaction. */
  headBefore: number;
}

/** The SQL that writes rooms and their publications. */
export function roomWriteSql(connection: Connection, read: Pick<RoomReadSql, "room">) {
  const { keep } = connection;
  const trim = roomTrimSql(connection);
  const rooms = roomRowsSql(connection);
  const insert = keep<unknown, [number, number, number, string | null, string]>(
    "INSERT INTO publications (room_key, offset, at_ms, sender, data) VALUES (?, ?, ?, ?, ?)",
  );
  const keyOf = keep<{ offset: number; atMs: number }, [number, string, number]>(
    "SELECT offset, at_ms AS atMs FROM publication_keys WHERE room_key = ? AND key = ? AND at_ms > ?",
  );
  const putKey = keep<unknown, [number, string, number, number]>(
    "INSERT OR REPLACE INTO publication_keys (room_key, key, offset, at_ms) VALUES (?, ?, ?, ?)",
  );
  /** Gives the publication its offset, or finds the one that its key has. */
  const append = (room: AppendingRoom, { data, from, key }: NewPublication, atMs: number) => {
    const known =
      key === undefined ? null : keyOf.get(room.key, key, atMs - limits.publicationKeyMs);
    if (known !== null) return known;
    const offset = ++room.head;
    insert.run(room.key, offset, atMs, from ?? null, data);
    if (key !== undefined) putKey.run(room.key, key, offset, atMs);
    return { offset, atMs: undefined };
  };
  const row = (name: string): RoomRow => {
    const found = read.room(name);
    assert(found !== undefined, "a room that was written is there");
    return found;
  };
  return {
    trimSlice: trim.slice,
    append(publications: readonly NewPublication[], atMs: number): AppendedPublications {
      const appending = new Map<string, AppendingRoom | undefined>();
      const result: AppendedPublications = { offsets: [], repeated: [] };
      for (const [index, publication] of publications.entries()) {
        const { room: name } = publication;
        if (!appending.has(name)) appending.set(name, rooms.toAppend(name));
        const room = appending.get(name);
        const told = room === undefined ? undefined : append(room, publication, atMs);
        result.offsets.push(told?.offset ?? 0);
        if (told?.atMs !== undefined) result.repeated.push({ index, atMs: told.atMs });
      }
      for (const room of appending.values()) {
        if (room === undefined || room.head === room.headBefore) continue;
        room.dueMs ??= atMs + room.historySeconds * 1000;
        trim.afterAppend(room);
        rooms.save(room);
      }
      return result;
    },
    /** @throws Problem `limit_reached` */
    configure(name: string, { head, ...settings }: StoredRoomSettings & { head: number }): RoomRow {
      const room = rooms.toAppend(name);
      if (room === undefined) throw tooMany();
      rooms.configure(name, Math.max(room.head, head), settings);
      trim.afterChange(name);
      return row(name);
    },
    /** Undefined where there is none, or it was deleted before. */
    forget(name: string, head: number): RoomRow | undefined {
      const before = read.room(name);
      if (before?.listed !== true) return undefined;
      rooms.configure(name, Math.max(before.head, head), DEFAULT_ROOM_SETTINGS);
      rooms.forget(name);
      trim.afterChange(name);
      return row(name);
    },
  };
}

export type RoomWriteSql = ReturnType<typeof roomWriteSql>;

/** The SQL of the rooms' own rows. */
function roomRowsSql({ keep }: Connection) {
  const byName = keep<TrimmedRoom, [string]>(
    `SELECT key, head, floor, trimmed, due_ms AS dueMs, history_messages AS historyMessages,
       history_seconds AS historySeconds FROM rooms WHERE name = ?`,
  );
  // Rows are never removed: the last key is how many there are.
  const count = keep<{ rooms: number }, []>("SELECT ifnull(max(key), 0) AS rooms FROM rooms");
  const insert = keep<unknown, [string, number, number]>(
    `INSERT INTO rooms (name, head, floor, trimmed, history_messages, history_seconds, life, listed)
     VALUES (?, 0, 0, 0, ?, ?, 0, 1)`,
  );
  const save = keep<unknown, [number, number, number | null, number]>(
    "UPDATE rooms SET head = ?, trimmed = ?, due_ms = ?, listed = 1 WHERE key = ?",
  );
  // Where a room begins or ends to have a past, nothing of before can be read, and positions of before mean nothing. Nor
  // can offsets be read that were given out without a row.
  const configure = keep<unknown, [number, number, number, string]>(
    `UPDATE rooms SET head = ?1, history_messages = ?2, history_seconds = ?3, listed = 1,
       life = life + ((history_messages = 0) <> (?2 = 0)),
       floor = CASE WHEN history_messages = 0 OR ?2 = 0 OR ?1 > head THEN ?1 ELSE floor END
     WHERE name = ?4`,
  );
  const forget = keep<unknown, [string]>(
    "UPDATE rooms SET floor = head, listed = 0 WHERE name = ?",
  );
  return {
    /** Makes the room where it is not there; undefined where there are too many. */
    toAppend(name: string): AppendingRoom | undefined {
      let row = byName.get(name);
      if (row === null) {
        if ((count.get()?.rooms ?? 0) >= limits.roomsMax) return undefined;
        const { historyMessages, historySeconds } = DEFAULT_ROOM_SETTINGS;
        insert.run(name, historyMessages, historySeconds);
        row = byName.get(name);
      }
      return row === null ? undefined : { ...row, headBefore: row.head };
    },
    save({ head, trimmed, dueMs, key }: TrimmedRoom): void {
      save.run(head, trimmed, dueMs, key);
    },
    configure(name: string, head: number, settings: StoredRoomSettings): void {
      configure.run(head, settings.historyMessages, settings.historySeconds, name);
    },
    forget: (name: string): void => {
      forget.run(name);
    },
  };
}

function tooMany(): Problem {
  return new Problem("limit_reached", `There may be ${limits.roomsMax} rooms.`);
}
