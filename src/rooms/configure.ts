import { limits } from "../limits.ts";
import type { RoomRow } from "../store/room-store.ts";
import type { Store } from "../store/store.ts";
import type { Appender } from "./append.ts";
import { wrongField } from "./publication.ts";
import type { RememberedRooms } from "./remembered-rooms.ts";
import type { Room } from "./room.ts";
import type { Rooms, RoomSettings, RoomState } from "./rooms.ts";

interface ConfiguringParts {
  store: Store;
  rooms: RememberedRooms;
  appender: Appender;
  forget: (room: Room) => void;
}

/** The part of rooms that says what a room keeps. */
export function configuring({
  store,
  rooms,
  appender,
  forget,
}: ConfiguringParts): Pick<Rooms, "settings" | "configure" | "remove" | "list"> {
  return {
    async settings(name) {
      const room = rooms.get(name);
      await room.open();
      return stateOf(name, room.known);
    },
    async configure(name, settings) {
      requireSettings(settings);
      const room = rooms.get(name);
      return room.alone(async () => {
        await appender.settled();
        const { head, historyMessages, historySeconds } = room.known;
        const wanted = {
          head,
          historyMessages: settings.history_messages ?? historyMessages,
          historySeconds: settings.history_seconds ?? historySeconds,
        };
        room.take(await store.configureRoom(name, wanted));
        return stateOf(name, room.known);
      });
    },
    async remove(name) {
      const room = rooms.get(name);
      return room.alone(async () => {
        await appender.settled();
        const row = await store.forgetRoom(name, room.head());
        if (row === undefined) return false;
        room.take(row);
        forget(room);
        return true;
      });
    },
    async list(options) {
      const rows = await store.rooms(options);
      return rows.map((row) => {
        const head = Math.max(row.head, rooms.peek(row.name)?.head() ?? 0);
        return stateOf(row.name, { ...row, head });
      });
    },
  };
}

function stateOf(
  name: string,
  { head, historyMessages, historySeconds }: Omit<RoomRow, "name" | "listed" | "floor" | "life">,
): RoomState {
  return { name, head, history_messages: historyMessages, history_seconds: historySeconds };
}

function requireSettings({
  history_messages: messages,
  history_seconds: seconds,
}: Partial<RoomSettings>): void {
  requireWithin("history_messages", messages, limits.historyMessagesMax);
  requireWithin("history_seconds", seconds, limits.historySecondsMax);
}

function requireWithin(field: string, value: number | undefined, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= max)) return;
  throw wrongField(field, `must be a whole number from 0 to ${max}`);
}
