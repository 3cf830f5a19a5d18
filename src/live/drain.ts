import { limits } from "../limits.ts";
import { CLOSES } from "../problems.ts";
import type { Socket } from "./connection.ts";
import type { Outbox } from "./outbox.ts";
import type { Work } from "./work.ts";

/** Clients come back within this time, each at a moment of its own: it protects replay, not the handshake. */
const RECONNECT_MS_MAX = 5000;
/** Pause after each batch of connections that are closed. */
const BATCH_PAUSE_MS = 100;

/** The end of a server's life, as its connections see it. */
export interface Drain {
  isDraining(): boolean;
  /** Tells every connection; from now on requests are refused and nobody new is taken in. */
  announce(deadlineMs: number): void;
  /** Resolves when no request runs, or after `timeoutMs`; true if none does. */
  idle(timeoutMs: number): Promise<boolean>;
  /** Closes all connections, some at a time, within `windowMs`. Resolves to how many there were. */
  close(windowMs: number): Promise<number>;
}

export interface DrainOptions {
  registry: Iterable<Socket>;
  outbox: Outbox;
  work: Work;
}

export function createDrain({ registry, outbox, work }: DrainOptions): Drain {
  let draining = false;
  return {
    isDraining: () => draining,
    announce(deadlineMs) {
      draining = true;
      for (const ws of registry) {
        const reconnect_after_ms = Math.floor(Math.random() * RECONNECT_MS_MAX);
        outbox.send(ws, { type: "draining", reconnect_after_ms, deadline_ms: deadlineMs });
      }
    },
    idle: (timeoutMs) => work.idle(timeoutMs),
    async close(windowMs) {
      const sockets = [...registry];
      const batches = Math.ceil(sockets.length / limits.liveCloseBatch);
      const pauseMs = Math.min(BATCH_PAUSE_MS, windowMs / Math.max(1, batches));
      for (let start = 0; start < sockets.length; start += limits.liveCloseBatch) {
        if (start > 0) await Bun.sleep(pauseMs);
        for (const ws of sockets.slice(start, start + limits.liveCloseBatch))
          ws.close(CLOSES.draining.code, CLOSES.draining.reason);
      }
      return sockets.length;
    },
  };
}
