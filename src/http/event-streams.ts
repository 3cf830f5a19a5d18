import type { LostEvent } from "../contract/rooms.ts";
import { encodeUtf8 } from "../lib/text.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { systemClock, type Clock } from "../rooms/clock.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { LiveStream, Position, Resume } from "../rooms/stream.ts";
import { getLogger } from "../telemetry/logs.ts";
import { EventReader } from "./event-reader.ts";
import { scopeOf } from "./request-scope.ts";

const log = getLogger("http");

/** How often a stream that has nothing to say shows that it lives: proxies end what is silent for half a minute. */
const HEARTBEAT_MS = 15_000;

/** A stream to which nothing could be written for so long is closed. */
const STALLED_SECONDS = 60;

/** When a reader that was cut off comes back: a server that restarts has gone by then, and is not refusing any more. */
const RETRY_MS = 2000;

const HEARTBEAT = encodeUtf8(": \n\n");

export interface EventStreams extends Disposable {
  /** Answers with what is published in a room from a position on. @throws Problem `invalid_request`, `busy` */
  open(
    request: Request,
    options: { room: string; since?: string; history?: number },
  ): Promise<Response>;
  /** Ends all streams; their readers come back by themselves. */
  end(): void;
}

/** Server-sent events (HTML Living Standard, section 9.2) of rooms: `id` is the position of each, `data` its frame. */
export function createEventStreams(
  rooms: Pick<Rooms, "stream" | "listen">,
  clock: Clock = systemClock,
): EventStreams {
  const hub = createHub(rooms, clock);
  return {
    async open(request, { room, since, history = 0 }) {
      if (hub.count() >= limits.eventStreamsMax) {
        throw new Problem("busy", "Too many event streams are open.", { retryAfterMs: 5000 });
      }
      const stream = rooms.stream(room);
      const position = request.headers.get("last-event-id") ?? since;
      const resume = await stream.resume(
        position === undefined ? { history } : { since: parsePosition(position) },
      );
      scopeOf(request).keepOpen(STALLED_SECONDS);
      const reader = new EventReader(resume.epoch);
      hub.enter(reader);
      return eventResponse({ hub, stream, reader, resume });
    },
    end: () => hub.end(),
    [Symbol.dispose]: () => hub.stop(),
  };
}

/** Whom each stream's frames go to. */
function createHub(rooms: Pick<Rooms, "listen">, clock: Clock) {
  const open = new Set<EventReader>();
  const readersOf = new Map<string, Set<EventReader>>();
  let stop: (() => void) | undefined;
  let last = { epoch: "", frame: "", event: HEARTBEAT };
  rooms.listen((sub, frame, offset) => {
    for (const reader of readersOf.get(sub) ?? []) {
      const { epoch } = reader;
      // Encoded once for all that read it.
      if (last.frame !== frame || last.epoch !== epoch)
        last = { epoch, frame, event: encodeUtf8(messageEvent({ epoch, offset }, frame)) };
      reader.push(last.event);
    }
  });
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
  stream: LiveStream;
  reader: EventReader;
  resume: Resume;
}

/** The past that is missing, then what comes. */
async function* events(parts: EventsParts): AsyncGenerator<Uint8Array> {
  const { hub, stream, reader } = parts;
  try {
    yield* replay(parts);
    // Nothing is told between the replay's last look at the head and this.
    hub.join(stream.sub, reader);
    while (!reader.isEnded) {
      const waiting = await reader.take();
      if (waiting.byteLength > 0) yield waiting;
    }
  } catch (error) {
    // The reader comes back by itself, and gets the rest then.
    log.error("events.failed", { sub: stream.sub, error });
  }
}

async function* replay({ stream, reader, resume }: EventsParts): AsyncGenerator<Uint8Array> {
  const { epoch, reason } = resume;
  let { after } = resume;
  const begin = `retry: ${RETRY_MS}\n${idLine({ epoch, offset: after })}\n`;
  yield encodeUtf8(
    reason === undefined ? begin : begin + lostEvent({ reason, epoch, offset: after }),
  );
  while (after < stream.head() && !reader.isEnded) {
    const page = await readPage(stream, after);
    if (page === undefined) {
      after = stream.head();
      yield encodeUtf8(lostEvent({ reason: "too_old", epoch, offset: after }));
      continue;
    }
    const first = after + 1;
    after = page.upTo;
    yield encodeUtf8(
      page.frames
        .map((frame, index) => messageEvent({ epoch, offset: first + index }, frame))
        .join(""),
    );
  }
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
  const { hub, stream, reader } = parts;
  const source = events(parts);
  const body = new ReadableStream(
    {
      async pull(controller) {
        const next = await source.next();
        if (next.done !== true) return controller.enqueue(next.value);
        hub.leave(stream.sub, reader);
        return controller.close();
      },
      async cancel() {
        hub.leave(stream.sub, reader);
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

function messageEvent(position: Position, frame: string): string {
  return `${idLine(position)}event: message\ndata: ${frame}\n\n`;
}

function lostEvent(lost: LostEvent): string {
  return `${idLine(lost)}event: lost\ndata: ${JSON.stringify(lost)}\n\n`;
}

function idLine({ epoch, offset }: Position): string {
  return `id: ${epoch}:${offset}\n`;
}

/** An id that is none of ours is a position in another life: its reader is told that it has lost what came since. */
function parsePosition(id: string): Position {
  const [, epoch, offset] = /^([\w.-]+):(\d{1,15})$/.exec(id) ?? [];
  return epoch === undefined ? { epoch: "", offset: 0 } : { epoch, offset: Number(offset) };
}
