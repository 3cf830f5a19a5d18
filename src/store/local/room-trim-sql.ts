import { limits } from "../../limits.ts";
import type { StoredRoomSettings } from "../room-store.ts";
import type { Connection } from "./open-database.ts";

/** A room as removing its rows sees it. */
export interface TrimmedRoom extends StoredRoomSettings {
  key: number;
  head: number;
  floor: number;
  /** Rows up to this offset are gone. */
  trimmed: number;
  /** When there is next something to be removed; null where the room has no rows. */
  dueMs: number | null;
}

/** Rows removed in one slice: under a millisecond. */
const SLICE_ROWS = 256;

/** Rows that a room may have beyond what it keeps before a publication removes them: one by one they cost more. */
const ROWS_OVER = 64;

const COLUMNS = `key, head, floor, trimmed, due_ms AS dueMs, history_messages AS historyMessages,
  history_seconds AS historySeconds`;

/** The SQL that removes publications and keys of which nobody has to know any longer. */
export function roomTrimSql({ keep }: Connection) {
  const due = keep<TrimmedRoom, [number]>(
    `SELECT ${COLUMNS} FROM rooms WHERE due_ms <= ? ORDER BY due_ms LIMIT 1`,
  );
  const byName = keep<TrimmedRoom, [string]>(`SELECT ${COLUMNS} FROM rooms WHERE name = ?`);
  const after = keep<{ offset: number; atMs: number }, [number, number, number]>(
    `SELECT offset, at_ms AS atMs FROM publications WHERE room_key = ? AND offset > ? ORDER BY offset LIMIT ?`,
  );
  const remove = keep<unknown, [number, number]>(
    "DELETE FROM publications WHERE room_key = ? AND offset <= ?",
  );
  const save = keep<unknown, [number, number | null, number]>(
    "UPDATE rooms SET trimmed = ?, due_ms = ? WHERE key = ?",
  );
  const removeKeys = keep<unknown, [number, number]>(
    `DELETE FROM publication_keys WHERE (room_key, key) IN
       (SELECT room_key, key FROM publication_keys WHERE at_ms <= ? LIMIT ?)`,
  );
  /** Removes what is up to `target`, at most a slice of it. */
  const removeUpTo = (room: TrimmedRoom, target: number): void => {
    // There may be offsets without rows, as of a room that kept nothing: they are passed over in one step.
    const first = after.get(room.key, room.trimmed, 1)?.offset ?? target + 1;
    const upTo = first > target ? target : Math.min(target, first + SLICE_ROWS - 1);
    remove.run(room.key, upTo);
    room.trimmed = upTo;
  };
  const dueByAge = ({ key, trimmed, historySeconds }: TrimmedRoom): number | null => {
    const oldest = after.get(key, trimmed, 1);
    return oldest === null ? null : oldest.atMs + historySeconds * 1000;
  };
  const overdue = (room: TrimmedRoom): boolean => readableAfter(room) > room.trimmed;
  /** Removes a slice of the first room that has something; false where none has. */
  const roomSlice = (nowMs: number): boolean => {
    const room = due.get(nowMs);
    if (room === null) return false;
    let target = readableAfter(room);
    for (const { offset, atMs } of after.all(room.key, room.trimmed, SLICE_ROWS)) {
      if (atMs + room.historySeconds * 1000 > nowMs) break;
      target = Math.max(target, offset);
    }
    removeUpTo(room, target);
    save.run(room.trimmed, overdue(room) ? 0 : dueByAge(room), room.key);
    return true;
  };
  return {
    /** Removes a slice of what nobody needs at that time; false when nothing was left. */
    slice: (nowMs: number): boolean =>
      roomSlice(nowMs) || removeKeys.run(nowMs - limits.publicationKeyMs, SLICE_ROWS).changes > 0,
    /** Removes what a room has beyond its number, where that has become enough to be worth it. The caller saves the row. */
    afterAppend(room: TrimmedRoom): void {
      const over = room.head - room.historyMessages - room.trimmed;
      if (over < ROWS_OVER) return;
      removeUpTo(room, room.head - room.historyMessages);
      // What was due at once stays so: a deleted past is on its way out.
      if (room.dueMs !== 0) room.dueMs = dueByAge(room);
    },
    /** Notes when there is something to be removed, after a room's settings or its floor were changed. */
    afterChange(name: string): void {
      const room = byName.get(name);
      if (room !== null) save.run(room.trimmed, overdue(room) ? 0 : dueByAge(room), room.key);
    },
  };
}

/** Nothing up to this offset need be kept, whatever its age. */
function readableAfter({ floor, head, historyMessages }: TrimmedRoom): number {
  return Math.max(floor, head - historyMessages);
}
