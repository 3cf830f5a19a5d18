import type { PublicationRange, PublicationRow, RoomRow } from "../room-store.ts";
import type { Connection } from "./open-database.ts";

type StoredRoom = Omit<RoomRow, "listed"> & { listed: 0 | 1 };

const COLUMNS = `name, head, floor, history_messages AS historyMessages, history_seconds AS historySeconds, life,
  listed`;
const PUBLICATION = 'offset, at_ms AS atMs, sender AS "from", data';

/** The SQL that reads rooms and their publications. */
export function roomReadSql({ keep }: Connection) {
  const byName = keep<StoredRoom, [string]>(`SELECT ${COLUMNS} FROM rooms WHERE name = ?`);
  const page = keep<StoredRoom, [string, number]>(
    `SELECT ${COLUMNS} FROM rooms WHERE name > ? AND listed = 1 ORDER BY name LIMIT ?`,
  );
  const range =
    "FROM publications WHERE room_key = (SELECT key FROM rooms WHERE name = ?) AND offset > ? AND offset <= ? ORDER BY offset";
  const first = keep<PublicationRow, [string, number, number, number]>(
    `SELECT ${PUBLICATION} ${range} LIMIT ?`,
  );
  const last = keep<PublicationRow, [string, number, number, number]>(
    `SELECT ${PUBLICATION} ${range} DESC LIMIT ?`,
  );
  const time = keep<{ atMs: number }, [string, number]>(
    `SELECT at_ms AS atMs FROM publications WHERE room_key = (SELECT key FROM rooms WHERE name = ?) AND offset = ?`,
  );
  return {
    room: (name: string): RoomRow | undefined => {
      const row = byName.get(name);
      return row === null ? undefined : toRow(row);
    },
    rooms: ({ after, limit }: { after: string; limit: number }): RoomRow[] =>
      page.all(after, limit).map(toRow),
    publications: (name: string, { after, upTo, limit, charactersMax }: PublicationRange) =>
      upToSize(first.iterate(name, after, upTo, limit), charactersMax),
    lastPublications: (name: string, { after, upTo, limit, charactersMax }: PublicationRange) =>
      upToSize(last.iterate(name, after, upTo, limit), charactersMax).toReversed(),
    firstPublication: (
      name: string,
      { after, upTo, afterMs }: { after: number; upTo: number; afterMs: number },
    ): number => {
      const isYounger = (offset: number): boolean =>
        (time.get(name, offset)?.atMs ?? -Infinity) > afterMs;
      let [low, high] = [after + 1, upTo + 1];
      // Mostly it is the first of all.
      if (low >= high || isYounger(low)) return low;
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if (isYounger(middle)) high = middle;
        else low = middle + 1;
      }
      return low;
    },
  };
}

export type RoomReadSql = ReturnType<typeof roomReadSql>;

function toRow(row: StoredRoom): RoomRow {
  return { ...row, listed: row.listed === 1 };
}

/** As many as have that many characters of data together, and at least one. */
function upToSize(rows: Iterable<PublicationRow>, charactersMax: number): PublicationRow[] {
  const taken: PublicationRow[] = [];
  let characters = 0;
  for (const row of rows) {
    characters += row.data.length;
    if (taken.length > 0 && characters > charactersMax) break;
    taken.push(row);
  }
  return taken;
}
