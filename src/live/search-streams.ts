import type { LiveRequest } from "../contract/live.ts";
import { limits } from "../limits.ts";
import type { Socket } from "./connection.ts";
import type { LiveFeatures } from "./features.ts";
import type { Outbox } from "./outbox.ts";
import { createSearchAnswer, type Asked } from "./search-answer.ts";
import type { Work } from "./work.ts";

/** Searches that follow each other: one runs, and in a stream that somebody types into one waits at most. */
export interface SearchStream {
  running: Asked | undefined;
  waiting: Asked[];
}

/** Searches without a stream stand in one line, and none takes another's place. */
const UNNAMED = "";

export interface SearchStreams {
  /** A newer search of a stream takes the place of the older one. */
  search(ws: Socket, request: LiveRequest<"search">): void;
  cancel(ws: Socket, request: LiveRequest<"cancel">): void;
  /** Nobody waits any more. */
  endAll(ws: Socket): void;
}

export interface SearchStreamsOptions {
  search: LiveFeatures["search"];
  outbox: Outbox;
  work: Work;
}

/**
 * Search as you type: what waits and was overtaken is never run, what runs is finished and not sent, so the last answer
 * that arrives is the newest one's.
 */
export function createSearchStreams({ search, outbox, work }: SearchStreamsOptions): SearchStreams {
  const answer = createSearchAnswer(search, outbox);
  const run = async (ws: Socket, name: string, stream: SearchStream): Promise<void> => {
    for (let one = stream.waiting.shift(); one !== undefined; one = stream.waiting.shift()) {
      stream.running = one;
      await answer(ws, one);
      work.end();
    }
    ws.data.searches?.delete(name);
  };
  const dropWaiting = (stream: SearchStream): Asked[] => {
    const dropped = stream.waiting.splice(0);
    for (const asked of dropped) {
      asked.cancelled = true;
      work.end();
    }
    return dropped;
  };
  return {
    search(ws, request) {
      const name = request.stream ?? UNNAMED;
      const streams = (ws.data.searches ??= new Map<string, SearchStream>());
      const stream = streams.get(name) ?? { running: undefined, waiting: [] };
      const message = refusal(streams, name);
      if (message !== undefined) {
        outbox.refuse(ws, { id: request.id, code: "rate_limited", message });
        return;
      }
      if (name !== UNNAMED) {
        const overtaken = [...dropWaiting(stream), ...cancelRunning(stream)];
        for (const one of overtaken)
          outbox.send(ws, { type: "cancelled", id: one.request.id, by: request.id });
      }
      streams.set(name, stream);
      work.begin();
      stream.waiting.push({ request, cancelled: false });
      if (stream.running === undefined) void run(ws, name, stream);
    },
    cancel(ws, { id, target }) {
      const found = findAsked(ws, target);
      if (found === undefined) {
        const message = "No search of this id waits or runs.";
        outbox.refuse(ws, { id, code: "not_found", message });
        return;
      }
      found.asked.cancelled = true;
      if (found.waited) work.end();
      outbox.send(ws, { type: "cancelled", id: target, ...(id === undefined ? {} : { by: id }) });
      if (id !== undefined) outbox.send(ws, { type: "cancelled", id, target });
    },
    endAll(ws) {
      for (const stream of ws.data.searches?.values() ?? []) {
        dropWaiting(stream);
        cancelRunning(stream);
      }
    },
  };
}

/** Why another search cannot be taken. */
function refusal(streams: ReadonlyMap<string, SearchStream>, name: string): string | undefined {
  const stream = streams.get(name);
  if (stream === undefined && streams.size >= limits.liveSearchStreamsMax)
    return "Too many streams of searches at once.";
  if (name === UNNAMED && (stream?.waiting.length ?? 0) >= limits.liveRequestsWaitingMax)
    return "Too many searches wait.";
  return undefined;
}

/** What runs, if somebody waited for it until now. */
function cancelRunning({ running }: SearchStream): Asked[] {
  if (running === undefined || running.cancelled) return [];
  running.cancelled = true;
  return [running];
}

/** A search by its id; one that waited is taken out of its line. */
function findAsked(ws: Socket, id: string): { asked: Asked; waited: boolean } | undefined {
  for (const { waiting, running } of ws.data.searches?.values() ?? []) {
    const place = waiting.findIndex(({ request }) => request.id === id);
    const [asked] = place < 0 ? [] : waiting.splice(place, 1);
    if (asked !== undefined) return { asked, waited: true };
    if (running?.request.id === id && !running.cancelled) return { asked: running, waited: false };
  }
  return undefined;
}
