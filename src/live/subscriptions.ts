import type { LiveFrame, LiveRequest } from "../contract/live.ts";
import { limits } from "../limits.ts";
import { liveErrorOf, type Problem } from "../problems.ts";
import type { LiveStream, Resume } from "../rooms/stream.ts";
import type { Socket } from "./connection.ts";
import type { LiveCounters } from "./counters.ts";
import type { LiveFeatures } from "./features.ts";
import type { Outbox, Refusal } from "./outbox.ts";
import { createReplays } from "./replay.ts";
import { createRoomPresence } from "./room-presence.ts";
import type { Subscription } from "./subscription.ts";

/** What connections listen to. */
export interface Subscriptions {
  /** @throws Problem as `Rooms.stream`, `StandingQueries.open` */
  subscribe(ws: Socket, request: LiveRequest<"subscribe">): Promise<void>;
  unsubscribe(ws: Socket, request: LiveRequest<"unsubscribe">): void;
  /** Ends what a connection listens to, for a reason that it is told. */
  end(ws: Socket, sub: string, reason: Problem): void;
  /** Ends all of a connection that is closed. */
  endAll(ws: Socket): void;
  /** Its socket takes no more: it is told who is in its rooms when it does. */
  holdPresence(ws: Socket): void;
  releasePresence(ws: Socket): void;
}

export interface SubscriptionsOptions {
  features: Pick<LiveFeatures, "rooms" | "queries">;
  outbox: Outbox;
  counters: LiveCounters;
}

/** A stream, and what only a standing query has. */
interface Opened {
  stream: LiveStream;
  minScore?: number;
  model?: string;
  release?: () => void;
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { features, outbox, counters } = options;
  const presence = createRoomPresence(features.rooms.presence, outbox);
  const end = (ws: Socket, subscription: Subscription): void => {
    subscription.ended = true;
    ws.data.subscriptions?.delete(subscription.stream.sub);
    if (!ws.data.closed) ws.unsubscribe(subscription.stream.sub);
    presence.leave(ws, subscription);
    subscription.release?.();
  };
  const replays = createReplays({ outbox, counters, onLost: end });
  const begin = (ws: Socket, subscription: Subscription, told: LiveFrame): void => {
    ws.cork(() => {
      outbox.send(ws, told);
      presence.join(ws, subscription);
      replays.start(ws, subscription);
    });
  };
  /** False where the connection has gone, or may not have it. */
  const add = async (
    ws: Socket,
    request: LiveRequest<"subscribe">,
    opened: Opened,
  ): Promise<boolean> => {
    const { stream, release } = opened;
    const refused = refusal(ws, stream.sub);
    if (refused !== undefined) {
      outbox.refuse(ws, { id: request.id, ...refused });
      return false;
    }
    const resume = await resumed(stream, request);
    if (ws.data.closed) return false;
    const subscription = newSubscription(request, { stream, release, after: resume.after });
    // A failure here leaves nothing behind: it is not yet among those of the connection.
    begin(ws, subscription, subscribedFrame(request, opened, resume));
    (ws.data.subscriptions ??= new Map()).set(stream.sub, subscription);
    // What was sent may have been too much for the socket.
    if (ws.data.closed) end(ws, subscription);
    return true;
  };
  return {
    async subscribe(ws, request) {
      const opened = await open(features, request);
      let added = false;
      try {
        added = !ws.data.closed && (await add(ws, request, opened));
      } finally {
        if (!added) opened.release?.();
      }
    },
    unsubscribe(ws, { id, sub }) {
      const subscription = ws.data.subscriptions?.get(sub);
      if (subscription === undefined) {
        outbox.refuse(ws, { id, code: "not_found", message: "There is no such subscription." });
        return;
      }
      end(ws, subscription);
      outbox.send(ws, { type: "unsubscribed", id, sub });
    },
    end(ws, sub, { code, detail }) {
      const subscription = ws.data.subscriptions?.get(sub);
      if (subscription === undefined) return;
      end(ws, subscription);
      outbox.send(ws, { type: "unsubscribed", sub, code: liveErrorOf(code), message: detail });
    },
    endAll(ws) {
      for (const subscription of ws.data.subscriptions?.values() ?? []) end(ws, subscription);
      ws.data.subscriptions = undefined;
    },
    holdPresence: (ws) => presence.hold(ws),
    releasePresence: (ws) => presence.release(ws),
  };
}

async function open(
  { rooms, queries }: SubscriptionsOptions["features"],
  { room, query }: LiveRequest<"subscribe">,
): Promise<Opened> {
  if (query !== undefined) return queries.open(query);
  return { stream: rooms.stream(room ?? "") };
}

/** Where the reader goes on. @throws Problem `collection_not_found` for a query whose collection was dropped meanwhile */
async function resumed(stream: LiveStream, request: LiveRequest<"subscribe">): Promise<Resume> {
  const resume = await stream.resume(positionOf(request));
  const ended = stream.ended?.();
  if (ended !== undefined) throw ended;
  return resume;
}

/** Why a connection cannot have another subscription now. */
function refusal(ws: Socket, sub: string): Refusal | undefined {
  const mine = ws.data.subscriptions;
  if (mine === undefined) return undefined;
  if (mine.has(sub))
    return { sub, code: "already_subscribed", message: `This connection listens to ${sub}.` };
  if (mine.size < limits.liveSubscriptionsMax) return undefined;
  const message = `A connection has at most ${limits.liveSubscriptionsMax} subscriptions.`;
  return { code: "limit_subscriptions", message };
}

function newSubscription(
  { room, presence = false }: LiveRequest<"subscribe">,
  { stream, release, after }: Pick<Subscription, "stream" | "release" | "after">,
): Subscription {
  return { stream, room, after, since: after, presence, release, ended: false };
}

function positionOf({ since, history }: LiveRequest<"subscribe">) {
  return {
    ...(since === undefined ? {} : { since }),
    ...(history === undefined ? {} : { history }),
  };
}

function subscribedFrame(
  { id, room }: LiveRequest<"subscribe">,
  { stream, minScore, model }: Opened,
  { epoch, offset, recovered, reason, replay }: Resume,
): LiveFrame<"subscribed"> {
  return {
    type: "subscribed",
    id,
    sub: stream.sub,
    ...(room === undefined ? {} : { room }),
    epoch,
    offset,
    recovered,
    ...(reason === undefined ? {} : { reason }),
    replay,
    ...(minScore === undefined ? {} : { min_score: minScore }),
    ...(model === undefined ? {} : { model }),
  };
}
