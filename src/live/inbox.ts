import type { LiveRequest } from "../contract/live.ts";
import { limits } from "../limits.ts";
import type { Connection, Socket } from "./connection.ts";
import type { Work } from "./work.ts";

/** Once so few requests wait, a connection is read from again. */
const RESUME_AT = limits.liveRequestsWaitingMax / 2;

export interface InboxOptions {
  /** Answers one request. Neither may reject. */
  serve: (ws: Socket, request: LiveRequest) => Promise<void>;
  publish: (ws: Socket, request: LiveRequest<"publish">) => Promise<void>;
  /** Too many wait already. */
  refuse: (ws: Socket, request: LiveRequest) => void;
  work: Work;
}

export interface Inbox {
  /** Takes a request: it is answered after those that came before it. */
  receive(ws: Socket, request: LiveRequest): void;
}

/**
 * Requests of a connection, one at a time and in their order, since Bun calls handlers side by side. Publications that
 * follow each other are under way together: their order is kept by the room, and together they cost one COMMIT and one
 * write to each subscriber.
 */
export function createInbox({ serve, publish, refuse, work }: InboxOptions): Inbox {
  const startPublishing = (ws: Socket, request: LiveRequest<"publish">): void => {
    const { data } = ws;
    data.publishing++;
    void publish(ws, request).finally(() => {
      data.publishing--;
      const waiting = data.published;
      data.published = undefined;
      waiting?.resolve();
      work.end();
    });
  };
  const answer = async (ws: Socket, request: LiveRequest): Promise<void> => {
    const { data } = ws;
    if (request.type === "publish") {
      while (data.publishing >= limits.livePublicationsInFlightMax) await published(data);
      startPublishing(ws, request);
      return;
    }
    while (data.publishing > 0) await published(data);
    if (!data.closed) await serve(ws, request);
    work.end();
  };
  const run = async (ws: Socket, first: LiveRequest): Promise<void> => {
    ws.data.running = true;
    for (let request: LiveRequest | undefined = first; request !== undefined; request = next(ws))
      await answer(ws, request);
    ws.data.running = false;
  };
  return {
    receive(ws, request) {
      const { data } = ws;
      if (data.running) {
        if (wait(ws, request)) work.begin();
        else refuse(ws, request);
        return;
      }
      work.begin();
      if (request.type === "publish" && data.publishing < limits.livePublicationsInFlightMax)
        startPublishing(ws, request);
      else void run(ws, request);
    },
  };
}

/** False where too many wait. */
function wait(ws: Socket, request: LiveRequest): boolean {
  const { data } = ws;
  const waiting = (data.waiting ??= []);
  // What was read before the pause is delivered all the same.
  if (waiting.length >= limits.liveRequestsHeldMax) return false;
  waiting.push(request);
  if (waiting.length > limits.liveRequestsWaitingMax && !data.paused) {
    data.paused = true;
    ws.pause();
  }
  return true;
}

function next(ws: Socket): LiveRequest | undefined {
  const { data } = ws;
  const request = data.waiting?.shift();
  if (request === undefined) data.waiting = undefined;
  if (data.paused && (data.waiting?.length ?? 0) <= RESUME_AT) {
    data.paused = false;
    // It could not be heard while it was not read.
    data.lastSeenMs = performance.now();
    if (!data.closed) ws.resume();
  }
  return request;
}

/** Resolves when one more publication of the connection has ended. */
function published(data: Connection): Promise<void> {
  return (data.published ??= Promise.withResolvers()).promise;
}
