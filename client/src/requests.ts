import type { Environment } from "./environment.ts";
import { SlipstreamError } from "./error.ts";
import type { ClientFrame, ClientRequest, ErrorFrame, ReplyFrame, Welcome } from "./frames.ts";
import { backoffMs } from "./policy.ts";

/** Calls without an answer. Past it the caller is faster than the server and is told so. */
const PENDING_MAX = 1000;
const FRAME_BYTES_MAX = 64 * 1024;
/** Share of the server's rate that is used: its clock and this one differ, and heartbeats count too. */
const RATE_SHARE = 0.9;
const CLOSE_TOO_LARGE = 1009;
const UTF8_BYTES_PER_UNIT_MAX = 3;

/** The server's errors after which the same request may succeed. */
const RETRYABLE: ReadonlySet<string> = new Set(["rate_limited", "unavailable", "draining"]);

/** A request and who waits for its answer. Both are called in the order of the frames, in the same turn. */
export interface Request {
  /** Made anew at each sending: a subscription's position moves on. */
  frame: () => ClientRequest;
  /** Sent again on the next connection; otherwise it fails with `disconnected`. */
  resend: boolean;
  replied(frame: ReplyFrame): void;
  failed(error: SlipstreamError): void;
}

interface Pending extends Request {
  sent: boolean;
  attempts: number;
  endWait?: () => void;
}

/** Requests that wait for their answers, over any number of connections, sent no faster than the server takes them. */
export class Requests {
  readonly #environment: Environment;
  readonly #send: (text: string) => void;
  readonly #pending = new Map<string, Pending>();
  #queue: string[] = [];
  #nextId = 1;
  #limits: Welcome["limits"] | undefined;
  #tokens = 0;
  #tokensAtMs = 0;
  #endPause: (() => void) | undefined;

  constructor(environment: Environment, send: (text: string) => void) {
    this.#environment = environment;
    this.#send = send;
  }

  /** Sends it, now or when there is a connection; the result is its id. */
  add(request: Request): string {
    const id = String(this.#nextId++);
    // A refusal would end a subscription, whose own requests are not sent again, and are as few as there are of these.
    if (request.resend && this.#pending.size >= PENDING_MAX) {
      const detail = `${PENDING_MAX} requests wait for an answer.`;
      request.failed(new SlipstreamError("too_many_requests_waiting", detail));
      return id;
    }
    this.#pending.set(id, { ...request, sent: false, attempts: 0 });
    this.#queue.push(id);
    this.#flush();
    return id;
  }

  /** Its answer will not be heard. */
  forget(id: string): void {
    this.#take(id);
  }

  /** There is a connection: everything that waits is sent, in the order it was asked. */
  opened(limits: Welcome["limits"]): void {
    this.#limits = limits;
    this.#tokens = limits.burst * RATE_SHARE;
    this.#tokensAtMs = this.#environment.now();
    this.#queue = [...this.#pending.keys()];
    this.#flush();
  }

  lost(code: number): void {
    this.#limits = undefined;
    this.#queue = [];
    this.#endPause?.();
    this.#endPause = undefined;
    for (const [id, pending] of this.#pending) {
      pending.endWait?.();
      // A frame that broke a connection by its size would break the next one too.
      if (pending.sent && code === CLOSE_TOO_LARGE) this.#fail(id, "too_large", "A frame was.");
      else if (!pending.resend) this.#fail(id, "disconnected", "The connection was lost.");
      else pending.sent = false;
    }
  }

  /** No connection will come again. */
  closed(error: SlipstreamError): void {
    for (const id of this.#pending.keys()) this.#take(id)?.failed(error);
  }

  replied(frame: ReplyFrame): void {
    const pending = this.#pending.get(frame.id);
    if (pending === undefined) return;
    // A search may be answered in two parts.
    if (frame.type !== "results" || frame.final) this.#take(frame.id);
    pending.replied(frame);
  }

  /** True where the error is the answer to a request of ours. */
  refused(frame: ErrorFrame): boolean {
    const { id, code, retry_after_ms } = frame;
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (id === undefined || pending === undefined) return false;
    if (RETRYABLE.has(code)) {
      const waitMs =
        retry_after_ms ?? backoffMs(pending.attempts, () => this.#environment.random());
      pending.attempts += 1;
      pending.endWait = this.#environment.after(waitMs, () => this.#again(id));
      return true;
    }
    this.#take(id);
    pending.failed(errorOf(frame));
    return true;
  }

  #again(id: string): void {
    if (this.#limits === undefined) return;
    this.#queue.push(id);
    this.#flush();
  }

  #flush(): void {
    const limits = this.#limits;
    if (limits === undefined || this.#endPause !== undefined) return;
    this.#fill(limits);
    while (this.#queue.length > 0) {
      if (this.#tokens < 1) return this.#pause(limits);
      const id = this.#queue.shift();
      const pending = id === undefined ? undefined : this.#pending.get(id);
      if (id === undefined || pending === undefined) continue;
      this.#tokens -= 1;
      this.#sendOne(id, pending, limits);
    }
  }

  #sendOne(id: string, pending: Pending, limits: Welcome["limits"]): void {
    const frame: ClientFrame = { ...pending.frame(), id };
    const bytesMax = limits.frame_bytes ?? FRAME_BYTES_MAX;
    const text = JSON.stringify(frame);
    if (isLarger(text, bytesMax)) {
      return this.#fail(id, "too_large", `A request is ${bytesMax} bytes at most.`);
    }
    pending.sent = true;
    this.#send(text);
  }

  #fill({ rate, burst }: Welcome["limits"]): void {
    const nowMs = this.#environment.now();
    const gained = ((nowMs - this.#tokensAtMs) / 1000) * rate * RATE_SHARE;
    this.#tokens = Math.min(burst * RATE_SHARE, this.#tokens + gained);
    this.#tokensAtMs = nowMs;
  }

  #pause({ rate }: Welcome["limits"]): void {
    const waitMs = ((1 - this.#tokens) * 1000) / (rate * RATE_SHARE);
    this.#endPause = this.#environment.after(Math.ceil(waitMs), () => {
      this.#endPause = undefined;
      this.#flush();
    });
  }

  #fail(id: string, code: string, detail: string): void {
    this.#take(id)?.failed(new SlipstreamError(code, detail));
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.endWait?.();
    return pending;
  }
}

/** The failure that an `error` frame tells. */
export function errorOf({ code, message, errors, retry_after_ms }: ErrorFrame): SlipstreamError {
  return new SlipstreamError(code, message, { errors, retryAfterMs: retry_after_ms });
}

/** Counts bytes only where the length leaves it open. */
function isLarger(text: string, bytesMax: number): boolean {
  if (text.length * UTF8_BYTES_PER_UNIT_MAX <= bytesMax) return false;
  return text.length > bytesMax || new TextEncoder().encode(text).length > bytesMax;
}
