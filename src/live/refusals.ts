import { CLOSES, LIVE_ERRORS, type CloseName } from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { Socket } from "./connection.ts";
import type { LiveCounters } from "./counters.ts";
import { decodeFrame, idOf, type Decoded } from "./decode-frame.ts";
import type { Outbox } from "./outbox.ts";
import { strike } from "./strikes.ts";

const log = getLogger("live");

/** What is not taken, and what happens to those who go on with it. */
export interface Refusals {
  /** A request for which there is no room; it may be sent again. */
  limited(ws: Socket, id: string | undefined, message: string): void;
  /** A frame past the rate. */
  overRate(ws: Socket, text: string, nowMs: number): void;
  malformed(ws: Socket, decoded: Decoded & { ok: false }, nowMs: number): void;
  /** Closes a connection for a reason of the catalogue. */
  cut(ws: Socket, name: CloseName): void;
}

export interface RefusalsOptions {
  framesPerSecond: number;
  counters: LiveCounters;
  outbox: Outbox;
}

export function createRefusals({ framesPerSecond, counters, outbox }: RefusalsOptions): Refusals {
  const limited = (ws: Socket, id: string | undefined, message: string): void => {
    const retryAfterMs = 1000 / framesPerSecond;
    outbox.refuse(ws, { id, code: "rate_limited", message, retryAfterMs });
  };
  return {
    limited,
    cut,
    overRate(ws, text, nowMs) {
      // It is named, so that whoever waits for its answer waits no more.
      const decoded = decodeFrame(text);
      limited(ws, decoded.ok ? idOf(decoded.request) : decoded.id, LIVE_ERRORS.rate_limited);
      if (!strike(ws.data, "refused", nowMs)) return;
      counters.rateCut++;
      cut(ws, "rate_abuse");
    },
    malformed(ws, { id, code, message, errors }, nowMs) {
      outbox.refuse(ws, { id, code, message, errors });
      // A wrong field is a mistake of whoever types a query, and no sign of another protocol.
      if (code === "invalid" || !strike(ws.data, "malformed", nowMs)) return;
      counters.protocolCut++;
      cut(ws, "protocol_errors");
    },
  };
}

function cut(ws: Socket, name: CloseName): void {
  const { code, reason } = CLOSES[name];
  log.info("live.cut", { session: ws.data.session, reason: name });
  ws.close(code, reason);
}
