import { encodeUtf8 } from "../lib/text.ts";
import { createTurns } from "../lib/turns.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { systemClock, type Clock } from "../rooms/clock.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { FrameListener, LiveStream, Resume } from "../rooms/stream.ts";
import { getLogger } from "../telemetry/logs.ts";
import { EventReader } from "./event-reader.ts";
import { frameEvent, idLine, lostEvent, parsePosition, RETRY_LINE } from "./event-text.ts";
import { scopeOf } from "./request-scope.ts";

const log = getLogger("http");

/** How often a stream that has nothing to say shows that it lives: proxies end what is silent for half a minute. */
const HEARTBEAT_MS = 15_000;

/** A stream to which nothing could be written for so long is closed. */
const STALLED_SECONDS = 60;

const HEARTBEAT = encodeUtf8(": \n\n");

/** What is read: a room by its name, or a standing query, whose readers are ended when it is gone. */
export type EventSource = { room: string } | { stream: LiveStream; gone: AbortSignal };

/** Whose frames are told. */
interface FrameSource {
  listen(listener: FrameListener): void;
}

export interface EventStreams extends Disposable {
  /** Answers with what a stream tells from a position on. @throws Problem `invalid_request`, `busy` */
  open(
    request: Request,
    options: EventSource & { since?: string; history?: number },
  ): Promise<Response>;
  /** Ends all streams; their readers come back by themselves. */
  end(): void;
}

/**
 * Server-sent events (HTML Living Standard, section 9.2) of rooms, and of the streams of others: `id` is the position of
 * each, `data` its frame.
 */
export function createEventStreams(
  rooms: Pick<Rooms, "stream"> & FrameSource,
  clock: Clock = systemClock,
  others: readonly FrameSource[] = [],
): EventStreams {
  const hub = createHub([rooms, ...others], clock);
  const turn = createTurns(limits.eventReadsPerTurn);
  return {
    async open(request, { since, history = 0, ...source }) {
      const stream = "room" in source ? rooms.stream(source.room) : source.stream;
      const position = request.headers.get("last-event-id") ?? since;
      const resume = await stream.resume(
        position === undefined ? { history } : { since: parsePosition(position) },
      );
      // In the turn in which it enters, so that many that are asked for at once are counted.
      if (hub.count() >= limits.eventStreamsMax) {
        throw new Problem("busy", "Too many event streams are open.", { retryAfterMs: 5000 });
      }
      scopeOf(request).keepOpen(STALLED_SECONDS);
      const reader = new EventReader(resume.epoch);
      hub.enter(reader);
      const end = (): void => reader.end();
      const gone = "gone" in source ? source.gone : undefined;
      gone?.addEventListener("abort", end);
      if (gone?.aborted === true) end();
      const leave = (): void => {
        hub.leave(stream.sub, reader);
        // What is read may outlive any number of its readers.
        gone?.removeEventListener("abort", end);
      };
      return eventResponse({ hub, turn, stream, reader, resume, leave });
    },
    end: () => hub.end(),
    [Symbol.dispose]: () => hub.stop(),
  };
}

/** Whom each stream's frames go to. */
function createHub(sources: readonly FrameSource[], clock: Clock) {
  const open = new Set<EventReader>();
  const readersOf = new Map<string, Set<EventReader>>();
  let stop: (() => void) | undefined;
  let last = { epoch: "", frame: "", event: HEARTBEAT };
  const tell: FrameListener = (sub, frame) => {
    for (const reader of readersOf.get(sub) ?? []) {
      const { epoch } = reader;
      // Encoded once for all that read it.
      if (last.frame !== frame || last.epoch !== epoch)
        last = { epoch, frame, event: encodeUtf8(frameEvent(epoch, frame)) };
      reader.push(last.event);
    }
  };
  for (const source of sources) source.listen(tell);
  const beat = (): void => {
    for (const reader of open) if (reader.isIdle) reader.push(HEARTBEAT);
    stop = open.size > 0 ? clock.after(HEARTBEAT_MS, beat) : undefined;
  };
  return {
    count: () => open.size,
    enter(reader: EventReader): void {
      open.add(reader);
      stop ??= clock.after(HEARTBEAT_MS, beat);
    },
    /** From now on the reader is told what is new in a stream. */
    join(sub: string, reader: EventReader): void {
      const readers = readersOf.get(sub) ?? new Set();
      readersOf.set(sub, readers.add(reader));
    },
    leave(sub: string, reader: EventReader): void {
      open.delete(reader);
      const readers = readersOf.get(sub);
      readers?.delete(reader);
      if (readers?.size === 0) readersOf.delete(sub);
    },
    end(): void {
      for (const reader of open) reader.end();
    },
    stop: () => stop?.(),
  };
}

interface EventsParts {
  hub: ReturnType<typeof createHub>;
  turn: () => Promise<void>;
  stream: LiveStream;
  reader: EventReader;
  resume: Resume;
  leave: () => void;
}

/** The past that is missing, then what comes. */
async function* events(parts: EventsParts): AsyncGenerator<Uint8Array> {
  const { stream, reader } = parts;
  try {
    yield* replay(parts);
    while (!reader.isEnded) {
      const waiting = await reader.take();
      if (waiting.byteLength > 0) yield waiting;
    }
  } catch (error) {
    // The reader comes back by itself, and gets the rest then.
    log.error("events.failed", { sub: stream.sub, error });
  }
}

async function* replay({
  hub,
  turn,
  stream,
  reader,
  resume,
}: EventsParts): AsyncGenerator<Uint8Array> {
  const { epoch, reason } = resume;
  let { after } = resume;
  const begin = `${RETRY_LINE}${idLine({ epoch, offset: after })}\n`;
  yield encodeUtf8(
    reason === undefined ? begin : begin + lostEvent({ reason, epoch, offset: after }),
  );
  while (after < stream.head() && !reader.isEnded) {
    await turn();
    const page = await readPage(stream, after);
    if (page === undefined) {
      after = stream.head();
      yield encodeUtf8(lostEvent({ reason: "too_old", epoch, offset: after }));
      continue;
    }
    after = page.upTo;
    yield encodeUtf8(page.frames.map((frame) => frameEvent(epoch, frame)).join(""));
  }
  // In the turn of the last look at the head, so that nothing is told in between: who iterates over this goes on in another.
  hub.join(stream.sub, reader);
}

/** Undefined where what comes next was removed meanwhile. */
async function readPage(stream: LiveStream, after: number) {
  const framesMax = limits.eventFramesPerRead;
  const bytesMax = limits.eventBytesBufferedMax;
  try {
    return await stream.read({ after, upTo: stream.head(), framesMax, bytesMax });
  } catch (error) {
    if (error instanceof Problem && error.code === "history_lost") return undefined;
    throw error;
  }
}

/** Made as fast as it is read. */
function eventResponse(parts: EventsParts): Response {
  const { reader, leave } = parts;
  const source = events(parts);
  const body = new ReadableStream(
    {
      async pull(controller) {
        const next = await source.next();
        if (next.done !== true) return controller.enqueue(next.value);
        leave();
        return controller.close();
      },
      async cancel() {
        leave();
        reader.end();
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  const headers = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    // A proxy that gathers answers would keep events back.
    "x-accel-buffering": "no",
  };
  return new Response(body, { headers });
}
