import type { LiveFrame, LiveRequest } from "../contract/live.ts";
import { LIVE_ERRORS } from "../problems.ts";
import type { LiveConfig } from "./config.ts";
import type { Socket } from "./connection.ts";
import type { ConnectionRegistry } from "./connection-registry.ts";
import type { LiveCounters } from "./counters.ts";
import { decodeFrame, idOf } from "./decode-frame.ts";
import type { Drain } from "./drain.ts";
import type { LiveFeatures } from "./features.ts";
import { createInbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import { createRefusals } from "./refusals.ts";
import { createRequests } from "./requests.ts";
import { createSearchStreams } from "./search-streams.ts";
import { takeToken } from "./strikes.ts";
import { createSubscriptions } from "./subscriptions.ts";
import type { Work } from "./work.ts";

/** The answer of a client that has nothing to say: most of what comes in. */
const PONG = '{"type":"pong"}';

export interface ReceiverOptions {
  config: LiveConfig;
  counters: LiveCounters;
  outbox: Outbox;
  registry: ConnectionRegistry;
  work: Work;
  drain: Drain;
}

/** What comes in from connections. */
export interface Receiver {
  readonly epoch: string;
  /** Never throws. */
  receive(ws: Socket, message: string | Uint8Array): void;
  /** Its socket has more unsent than it should; or no longer. */
  hold(ws: Socket): void;
  release(ws: Socket): void;
  /** It is closed. */
  end(ws: Socket): void;
}

export function createReceiver(features: LiveFeatures, options: ReceiverOptions): Receiver {
  const { config, counters, outbox, registry, work, drain } = options;
  const [rate, burst] = [config.wsFramesPerSecond, config.wsFramesBurst];
  const refusals = createRefusals({ framesPerSecond: rate, counters, outbox });
  const subscriptions = createSubscriptions({ features, outbox, counters });
  // Rare, so that nothing is kept for it by stream.
  features.queries.listenEnds((sub, reason) => {
    for (const ws of registry) subscriptions.end(ws, sub, reason);
  });
  const searches = createSearchStreams({ search: features.search, outbox, work });
  const inbox = createInbox({
    ...createRequests({ rooms: features.rooms, outbox, subscriptions }),
    refuse: (ws, request) => refusals.limited(ws, idOf(request), "Too many requests wait."),
    work,
  });
  const take = (ws: Socket, request: LiveRequest): void => {
    if (request.type === "pong") return;
    if (request.type === "ping") return outbox.send(ws, pongOf(request));
    if (request.type === "cancel") return searches.cancel(ws, request);
    if (drain.isDraining()) {
      const message = LIVE_ERRORS.draining;
      return outbox.refuse(ws, { id: idOf(request), code: "draining", message });
    }
    if (request.type === "search") return searches.search(ws, request);
    inbox.receive(ws, request);
  };
  const receiveText = (ws: Socket, text: string, nowMs: number): void => {
    if (!takeToken(ws.data, { rate, burst, nowMs })) return refusals.overRate(ws, text, nowMs);
    if (text === PONG) return;
    const decoded = decodeFrame(text);
    if (decoded.ok) take(ws, decoded.request);
    else refusals.malformed(ws, decoded, nowMs);
  };
  return {
    epoch: features.epoch,
    receive(ws, message) {
      const nowMs = performance.now();
      registry.touch(ws.data, nowMs);
      if (typeof message !== "string") return refusals.cut(ws, "binary");
      try {
        receiveText(ws, message, nowMs);
      } catch (error) {
        outbox.fail(ws, {}, error);
      }
    },
    hold: (ws) => subscriptions.holdPresence(ws),
    release: (ws) => subscriptions.releasePresence(ws),
    end(ws) {
      searches.endAll(ws);
      subscriptions.endAll(ws);
    },
  };
}

function pongOf({ id, t }: LiveRequest<"ping">): LiveFrame<"pong"> {
  return {
    type: "pong",
    ...(id === undefined ? {} : { id }),
    ...(t === undefined ? {} : { t }),
    time: new Date().toISOString(),
  };
}
