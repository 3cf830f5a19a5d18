import { createTurns } from "../lib/turns.ts";
import { limits } from "../limits.ts";
import { assert, liveErrorOf, Problem, PROBLEMS, type LiveErrorCode } from "../problems.ts";
import type { ReplayPage } from "../rooms/stream.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { Socket } from "./connection.ts";
import type { LiveCounters } from "./counters.ts";
import type { Outbox } from "./outbox.ts";
import type { Subscription } from "./subscription.ts";

const log = getLogger("live");

export interface Replays {
  /** Sends what a subscriber has missed, and then lets it hear what is new. */
  start(ws: Socket, subscription: Subscription): void;
}

export interface ReplayOptions {
  outbox: Outbox;
  counters: LiveCounters;
  /** The past cannot be gone on with: the subscription ends. */
  onLost: (ws: Socket, subscription: Subscription) => void;
}

/**
 * Replays, one at a time for each connection and paced by what its socket takes: a page goes in when little is unsent.
 * Only what is at or before the stream's head is read, and the socket becomes a subscriber of the topic in the same turn
 * in which it has reached the head, so that nothing is missed and nothing comes twice.
 */
export function createReplays({ outbox, counters, onLost }: ReplayOptions): Replays {
  // Reading and sending may never leave a turn by themselves, and with hundreds of readers a turn would have no end.
  const turn = createTurns(limits.liveReplayPagesPerTurn);
  const goLive = (ws: Socket, { stream }: Subscription): void => {
    ws.subscribe(stream.sub);
    outbox.send(ws, { type: "caught_up", sub: stream.sub, offset: stream.head() });
  };
  /** True when that was the last page. */
  const sendPage = (ws: Socket, subscription: Subscription, page: ReplayPage): boolean => {
    const isLast = page.upTo >= subscription.stream.head();
    assert(isLast || page.upTo > subscription.after, "a page of a replay goes on");
    subscription.after = page.upTo;
    ws.cork(() => {
      for (const frame of page.frames) outbox.sendText(ws, frame);
      if (isLast) goLive(ws, subscription);
    });
    return isLast;
  };
  /** Until it is live, or has ended. */
  const replay = async (ws: Socket, subscription: Subscription): Promise<void> => {
    const { stream } = subscription;
    for (let pages = 0; ; pages++) {
      await outbox.writable(ws);
      // Most that come back have missed a page at most: they have it at once.
      if (pages > 0) await turn();
      if (subscription.ended) return;
      const page = await stream.read({
        after: subscription.after,
        since: subscription.since,
        upTo: stream.head(),
        framesMax: limits.liveReplayFramesMax,
        bytesMax: limits.liveReplayBytesMax,
      });
      if (subscription.ended || sendPage(ws, subscription, page)) return;
    }
  };
  const lose = (ws: Socket, subscription: Subscription, error: unknown): void => {
    const code = lostCode(error);
    if (code === "internal") {
      counters.failures++;
      log.error("live.replay_failed", { session: ws.data.session, error });
    }
    if (subscription.ended) return;
    const message = error instanceof Problem ? error.detail : PROBLEMS.internal.title;
    outbox.send(ws, { type: "unsubscribed", sub: subscription.stream.sub, code, message });
    onLost(ws, subscription);
  };
  const run = async (ws: Socket, waiting: Subscription[]): Promise<void> => {
    for (let one = waiting[0]; one !== undefined; one = waiting[0]) {
      try {
        await replay(ws, one);
      } catch (error) {
        lose(ws, one, error);
      }
      waiting.shift();
    }
    ws.data.replays = undefined;
  };
  return {
    start(ws, subscription) {
      if (subscription.after >= subscription.stream.head()) {
        goLive(ws, subscription);
        return;
      }
      const { data } = ws;
      if (data.replays !== undefined) {
        data.replays.push(subscription);
        return;
      }
      data.replays = [subscription];
      void run(ws, data.replays);
    },
  };
}

/** Why a replay ended: what comes next is gone, or cannot be read now. */
function lostCode(error: unknown): LiveErrorCode {
  if (!(error instanceof Problem)) return "internal";
  return PROBLEMS[error.code].status < 500 ? "unrecoverable" : liveErrorOf(error.code);
}
