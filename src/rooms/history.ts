import { limits } from "../limits.ts";
import type { PublicationRow, RoomRead } from "../store/room-store.ts";
import { timeText } from "./message-frame.ts";
import { wrongField } from "./publication.ts";
import type { Room } from "./room.ts";
import type { HistoryOptions, HistoryPage, Message } from "./rooms.ts";

interface HistoryParts {
  store: RoomRead;
  room: Room;
}

/** A page of a room's past: forward from an offset, or back from one or from the head. @throws Problem `invalid_request` */
export async function readHistory(
  { store, room }: HistoryParts,
  { before, after, limit = limits.historyMessagesPerPage }: HistoryOptions,
): Promise<HistoryPage> {
  if (before !== undefined && after !== undefined) {
    throw wrongField("before", "cannot go with after");
  }
  await room.open();
  const { head, epoch } = room.known;
  const floor = await room.floor();
  const told = { epoch, head, oldest: floor + 1 };
  const bounds = {
    limit: Math.min(limit, limits.historyMessagesPerPage),
    charactersMax: limits.historyPageCharactersMax,
  };
  if (after !== undefined) {
    const range = { after: Math.max(after, floor), upTo: head, ...bounds };
    const rows = await store.publications(room.name, range);
    return { items: rows.map(toMessage), more: (rows.at(-1)?.offset ?? head) < head, ...told };
  }
  const upTo = Math.min(head, (before ?? Infinity) - 1);
  const rows = await store.lastPublications(room.name, { after: floor, upTo, ...bounds });
  return { items: rows.map(toMessage), more: (rows[0]?.offset ?? 0) > floor + 1, ...told };
}

function toMessage({ offset, atMs, data, from }: PublicationRow): Message {
  const message = { offset, ts: timeText(atMs), data: JSON.parse(data) };
  return from === null ? message : { ...message, from };
}
