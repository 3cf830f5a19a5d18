import type { LiveFrame } from "../contract/live.ts";
import { limits } from "../limits.ts";
import {
  liveErrorOf,
  Problem,
  PROBLEMS,
  type FieldError,
  type LiveErrorCode,
} from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { Socket } from "./connection.ts";
import type { LiveCounters } from "./counters.ts";

const log = getLogger("live");

/** What an error is about: the request's id, or the subscription's name. */
export interface Regarding {
  id?: string | undefined;
  sub?: string | undefined;
}

/** Why a request is refused that no `Problem` has led to. */
export interface Refusal extends Regarding {
  code: LiveErrorCode;
  message: string;
  errors?: readonly FieldError[];
  retryAfterMs?: number;
}

/** What goes out to single connections. */
export interface Outbox {
  send(ws: Socket, frame: LiveFrame): void;
  /** The same for one of many that come at once, as those of a commit: they go out in one write. */
  sendTogether(ws: Socket, frame: LiveFrame): void;
  /** A frame that is JSON text already. */
  sendText(ws: Socket, text: string): void;
  refuse(ws: Socket, refusal: Refusal): void;
  /** Tells what was thrown: a `Problem` by its words, and our own mistakes only that there was one; the log has the rest. */
  fail(ws: Socket, regarding: Regarding, error: unknown): void;
  /**
   * Waits until what may wait can be sent; undefined where that is now. It also ends when the connection is closed, so
   * look at `closed` after it.
   */
  writable(ws: Socket): Promise<void> | undefined;
  /** To be told when a socket has sent some of what it had, or is closed. */
  drained(ws: Socket): void;
}

export function createOutbox(counters: LiveCounters): Outbox {
  const sendText = (ws: Socket, text: string): void => {
    if (ws.data.closed) return;
    counters.framesOut++;
    ws.send(text);
  };
  const send = (ws: Socket, frame: LiveFrame): void => sendText(ws, JSON.stringify(frame));
  const sendAnswers = (ws: Socket, answers: readonly string[]): void => {
    ws.data.answers = undefined;
    if (ws.data.closed) return;
    ws.cork(() => {
      for (const answer of answers) sendText(ws, answer);
    });
  };
  return {
    sendText,
    send,
    sendTogether(ws, frame) {
      const answers = (ws.data.answers ??= []);
      // What is settled in the same turn adds to it before this comes to its end.
      if (answers.length === 0) queueMicrotask(() => sendAnswers(ws, answers));
      answers.push(JSON.stringify(frame));
    },
    refuse: (ws, refusal) => send(ws, errorFrame(refusal)),
    fail(ws, regarding, error) {
      if (!(error instanceof Problem) || PROBLEMS[error.code].status === 500) {
        counters.failures++;
        log.error("live.request_failed", { session: ws.data.session, ...regarding, error });
      }
      send(ws, problemFrame(regarding, error));
    },
    writable: (ws) => (isWritable(ws) ? undefined : untilWritable(ws)),
    drained(ws) {
      const { data } = ws;
      if (data.drained === undefined || !isWritable(ws)) return;
      const { resolve } = data.drained;
      data.drained = undefined;
      resolve();
    },
  };
}

/** A closed one is: whatever is sent there goes nowhere. */
function isWritable(ws: Socket): boolean {
  return ws.data.closed || ws.getBufferedAmount() <= limits.liveBufferedBytesHold;
}

async function untilWritable(ws: Socket): Promise<void> {
  // Several may wait, and the first to go on may fill the socket again.
  while (!isWritable(ws)) await (ws.data.drained ??= Promise.withResolvers()).promise;
}

function errorFrame({ id, sub, code, message, errors, retryAfterMs }: Refusal): LiveFrame<"error"> {
  return {
    type: "error",
    ...(id === undefined ? {} : { id }),
    ...(sub === undefined ? {} : { sub }),
    code,
    message,
    ...(retryAfterMs === undefined ? {} : { retry_after_ms: Math.ceil(retryAfterMs) }),
    ...(errors === undefined || errors.length === 0 ? {} : { errors: [...errors] }),
  };
}

function problemFrame(regarding: Regarding, error: unknown): LiveFrame<"error"> {
  if (!(error instanceof Problem)) {
    return errorFrame({ ...regarding, code: "internal", message: PROBLEMS.internal.title });
  }
  const { code, detail, errors, retryAfterMs } = error;
  const { status, title } = PROBLEMS[code];
  const refusal: Refusal = {
    ...regarding,
    code: liveErrorOf(code),
    // Details of our own failures may hold paths of this machine.
    message: status === 500 ? title : detail,
    ...(status < 500 ? { errors } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  return { ...errorFrame(refusal), problem: code };
}
