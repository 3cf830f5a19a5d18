import type { LiveFrame, LiveRequest } from "../contract/live.ts";
import { presenceSub } from "../contract/rooms.ts";
import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import type { Message } from "../rooms/rooms.ts";
import { authenticate } from "./authenticate.ts";
import type { Socket } from "./connection.ts";
import { idOf } from "./decode-frame.ts";
import type { LiveFeatures } from "./features.ts";
import type { Outbox } from "./outbox.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface RequestsOptions {
  rooms: LiveFeatures["rooms"];
  outbox: Outbox;
  subscriptions: Subscriptions;
}

/** Answers to requests that stand in line. */
export interface Requests {
  /** Never rejects: what goes wrong is told to the connection. */
  serve: (ws: Socket, request: LiveRequest) => Promise<void>;
  publish: (ws: Socket, request: LiveRequest<"publish">) => Promise<void>;
}

export function createRequests({ rooms, outbox, subscriptions }: RequestsOptions): Requests {
  const publish = async (ws: Socket, request: LiveRequest<"publish">): Promise<void> => {
    const { id, room, data, key } = request;
    try {
      const from = ws.data.session;
      const options = key === undefined ? { from } : { from, key };
      const published = await rooms.publish(room, data, options);
      outbox.sendTogether(ws, { type: "published", id, room, ...published });
    } catch (error) {
      outbox.fail(ws, { id }, error);
    }
  };
  const history = async (ws: Socket, request: LiveRequest<"history">): Promise<void> => {
    const { id, room, before, after, limit } = request;
    const page = await rooms.history(room, {
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    });
    await outbox.writable(ws);
    const items = fitting(page.items, after === undefined ? "last" : "first");
    const more = page.more || items.length < page.items.length;
    outbox.send(ws, { type: "history", id, room, epoch: page.epoch, items, more });
  };
  const answer = async (ws: Socket, request: LiveRequest): Promise<void> => {
    switch (request.type) {
      case "auth": {
        const { expiresAt } = authenticate(request.token);
        const id = request.id === undefined ? {} : { id: request.id };
        return outbox.send(ws, { type: "authed", ...id, expires_at: expiresAt });
      }
      case "subscribe":
        return subscriptions.subscribe(ws, request);
      case "unsubscribe":
        return subscriptions.unsubscribe(ws, request);
      case "publish":
        return publish(ws, request);
      case "history":
        return history(ws, request);
      case "presence": {
        const { count, members } = rooms.presence.of(request.room);
        return outbox.send(ws, presenceFrame(request, { count, members }));
      }
      // These do not stand in line.
      case "search":
      case "cancel":
      case "ping":
      case "pong":
        return;
    }
  };
  return {
    publish,
    async serve(ws, request) {
      try {
        await answer(ws, request);
      } catch (error) {
        outbox.fail(ws, { id: idOf(request) }, error);
      }
    },
  };
}

function presenceFrame(
  { id, room }: LiveRequest<"presence">,
  members: Pick<LiveFrame<"presence">, "count" | "members">,
): LiveFrame<"presence"> {
  return { type: "presence", id, sub: presenceSub(room), room, ...members };
}

/** Room for the frame around the messages. */
const ENVELOPE_BYTES = 512;

/** As many messages as fit into a frame, from one end. */
function fitting(items: readonly Message[], end: "first" | "last"): Message[] {
  const kept: Message[] = [];
  let bytes = ENVELOPE_BYTES;
  for (const item of end === "first" ? items : items.toReversed()) {
    bytes += utf8Bytes(JSON.stringify(item)) + 1;
    if (bytes > limits.liveReplyBytesMax) break;
    kept.push(item);
  }
  return end === "first" ? kept : kept.toReversed();
}
