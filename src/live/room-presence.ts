import { presenceSub } from "../contract/rooms.ts";
import { limits } from "../limits.ts";
import type { Presence } from "../rooms/presence.ts";
import type { Socket } from "./connection.ts";
import type { Outbox } from "./outbox.ts";
import type { Subscription } from "./subscription.ts";

/** Connections that are members of their rooms, and are told of the others. */
export interface RoomPresence {
  /** Where the subscription asks for it. */
  join(ws: Socket, subscription: Subscription): void;
  leave(ws: Socket, subscription: Subscription): void;
  /** Its socket takes no more: who comes and goes is not told until it does, and then who is there. */
  hold(ws: Socket): void;
  release(ws: Socket): void;
}

export function createRoomPresence(presence: Presence, outbox: Outbox): RoomPresence {
  const listen = (ws: Socket, room: string): void => {
    ws.subscribe(presenceSub(room));
    const { count, members } = presence.of(room);
    outbox.send(ws, { type: "presence", sub: presenceSub(room), room, count, members });
  };
  return {
    join(ws, subscription) {
      const room = roomWithPresence(subscription);
      if (room === undefined) return;
      presence.join(room, ws.data.session);
      listen(ws, room);
    },
    leave(ws, subscription) {
      const room = roomWithPresence(subscription);
      if (room === undefined) return;
      if (!ws.data.closed) ws.unsubscribe(presenceSub(room));
      presence.leave(room, ws.data.session);
    },
    hold(ws) {
      if (ws.data.presenceHeld) return;
      for (const room of roomsWithPresence(ws)) {
        ws.unsubscribe(presenceSub(room));
        ws.data.presenceHeld = true;
      }
    },
    release(ws) {
      if (!ws.data.presenceHeld || ws.getBufferedAmount() > limits.liveBufferedBytesHold) return;
      ws.data.presenceHeld = false;
      for (const room of roomsWithPresence(ws)) listen(ws, room);
    },
  };
}

function roomWithPresence({ presence, room }: Subscription): string | undefined {
  return presence ? room : undefined;
}

function* roomsWithPresence({ data }: Socket): Generator<string> {
  for (const subscription of data.subscriptions?.values() ?? []) {
    const room = roomWithPresence(subscription);
    if (room !== undefined) yield room;
  }
}
