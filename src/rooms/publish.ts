import type { NewPublication } from "../store/room-store.ts";
import type { Appended, Appender } from "./append.ts";
import type { Clock } from "./clock.ts";
import { timeText, type FrameParts } from "./message-frame.ts";
import { dataText, requireLabels } from "./publication.ts";
import type { RememberedRooms } from "./remembered-rooms.ts";
import type { Room } from "./room.ts";
import type { PublishOptions, Rooms } from "./rooms.ts";
import { UnstoredKeys } from "./unstored-keys.ts";

interface PublishingParts {
  clock: Clock;
  rooms: RememberedRooms;
  appender: Appender;
  tell: (room: Room, parts: FrameParts) => void;
}

/** The part of rooms that publishes. */
export function publishing({
  clock,
  rooms,
  appender,
  tell,
}: PublishingParts): Pick<Rooms, "publish"> {
  const keys = new UnstoredKeys();
  const appendUnstored = (room: Room, { data, from, key }: NewPublication): Appended => {
    const atMs = clock.now();
    const { epoch } = room.known;
    const use = key === undefined ? undefined : keys.find(epoch, key, atMs);
    if (use !== undefined) return { ...use, duplicate: true };
    const offset = room.head() + 1;
    if (key !== undefined) keys.add(epoch, key, { offset, atMs });
    tell(room, { offset, atMs, data, from: from ?? null });
    return { offset, atMs, duplicate: false };
  };
  return {
    async publish(name, data, options = {}) {
      const room = rooms.get(name);
      const publication = toPublication(name, data, options);
      for (let gate = room.ready(); gate !== undefined; gate = room.ready()) await gate;
      const { offset, atMs, duplicate } = room.isEphemeral
        ? appendUnstored(room, publication)
        : await appender.add(room, publication);
      const ts = timeText(atMs);
      return duplicate ? { offset, ts, duplicate } : { offset, ts };
    },
  };
}

function toPublication(room: string, data: unknown, options: PublishOptions): NewPublication {
  requireLabels(options);
  const { key, from } = options;
  const publication: NewPublication = { room, data: dataText(data) };
  if (key !== undefined) publication.key = key;
  if (from !== undefined) publication.from = from;
  return publication;
}
