import { limits } from "../limits.ts";
import { CLOSES } from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { Connection, Socket } from "./connection.ts";
import type { LiveCounters } from "./counters.ts";
import { HeartbeatWheel } from "./heartbeat-wheel.ts";

const log = getLogger("live");

/** What a browser can see of a heartbeat, and answers with `{"type":"pong"}`. */
export const PING = '{"type":"ping"}';

const TURNS = 15;

export interface RegistryOptions {
  /** Each connection is pinged so often. */
  heartbeatMs: number;
  /** One that was not heard for so long is stale. */
  staleMs: number;
  /** Between two looks at all of them. */
  sweepMs: number;
  /** One whose unsent bytes have not become fewer for so long is cut. */
  slowMs: number;
  /** Unsent bytes of all together; past it the largest are cut first. */
  bufferedBytesMax: number;
  counters: LiveCounters;
  /** A connection has more unsent than it should. */
  onHeld(ws: Socket): void;
}

/**
 * The live connections: who is there, who was heard when, who does not take what it is sent. One timer for all of them,
 * which runs while there are any. Times are of `performance.now()`.
 */
export class ConnectionRegistry implements Disposable {
  readonly #options: RegistryOptions;
  readonly #wheel = new HeartbeatWheel(TURNS);
  readonly #tickMs: number;
  #size = 0;
  #timer: NodeJS.Timeout | undefined;
  #tickedAtMs = 0;
  #sweptAtMs = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#tickMs = options.heartbeatMs / TURNS;
  }

  get size(): number {
    return this.#size;
  }

  /** True while its timer runs. */
  get isTicking(): boolean {
    return this.#timer !== undefined;
  }

  [Symbol.iterator](): Iterator<Socket> {
    return this.#wheel.all();
  }

  connect(ws: Socket): void {
    this.#wheel.add(ws);
    this.#size++;
    if (this.#timer !== undefined) return;
    this.#tickedAtMs = this.#sweptAtMs = performance.now();
    this.#timer = setInterval(() => this.tick(performance.now()), this.#tickMs);
  }

  disconnect(ws: Socket): void {
    if (ws.data.slot < 0) return;
    this.#wheel.remove(ws);
    this.#size--;
    if (this.#size === 0) this[Symbol.dispose]();
  }

  /** Pings a connection in both ways: a browser cannot see a native ping, and a bare client may not know JSON ones. */
  heartbeat(ws: Socket): void {
    // Both in one write: two took a fifth more of what five thousand idle connections cost.
    ws.cork(() => {
      ws.ping();
      // One with so much to read hears from us anyway.
      if (ws.getBufferedAmount() <= limits.liveBufferedBytesHold) ws.send(PING);
    });
  }

  /** Something was heard of a connection. */
  touch(connection: Connection, nowMs: number): void {
    connection.lastSeenMs = nowMs;
  }

  /** One that is not read from cannot be heard. */
  isStale({ lastSeenMs, paused }: Connection, nowMs: number): boolean {
    return !paused && nowMs - lastSeenMs > this.#options.staleMs;
  }

  /** A connection has taken some of what waited for it. */
  drained(connection: Connection, nowMs: number): void {
    connection.drainedAtMs = nowMs;
  }

  /** One turn of the wheel, and a sweep when it is time for one. */
  tick(nowMs: number): void {
    // After a pause of this process everybody seems silent: what they have sent is read before they are judged.
    const late = nowMs - this.#tickedAtMs > this.#tickMs + this.#options.sweepMs;
    this.#tickedAtMs = nowMs;
    for (const ws of this.#wheel.turn()) this.heartbeat(ws);
    if (late || nowMs - this.#sweptAtMs < this.#options.sweepMs - this.#tickMs / 2) return;
    this.#sweptAtMs = nowMs;
    this.#sweep(nowMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(nowMs: number): void {
    let bytes = 0;
    for (const ws of this.#wheel.all()) {
      if (this.isStale(ws.data, nowMs)) this.#cutStale(ws);
      else if (this.#isSlow(ws, nowMs)) this.#cutSlow(ws);
      else bytes += ws.data.bufferedBytes;
    }
    if (bytes > this.#options.bufferedBytesMax) this.#cutLargest(bytes);
  }

  /**
   * It takes nothing of what it is sent, though it may answer pings. What says that it takes something is the socket's
   * `drain`: unsent bytes also become fewer when a ping makes the system take some more that nobody reads.
   */
  #isSlow(ws: Socket, nowMs: number): boolean {
    const { data } = ws;
    data.bufferedBytes = ws.getBufferedAmount();
    const isHeld = data.bufferedBytes > limits.liveBufferedBytesHold;
    if (isHeld) this.#options.onHeld(ws);
    if (!isHeld && data.drained === undefined) data.drainedAtMs = nowMs;
    return nowMs - data.drainedAtMs > this.#options.slowMs;
  }

  #cutStale(ws: Socket): void {
    this.#options.counters.staleCut++;
    log.info("live.stale_cut", () => ({ session: ws.data.session }));
    ws.close(CLOSES.stale.code, CLOSES.stale.reason);
    // Who does not answer will not answer this either.
    ws.terminate();
  }

  #cutSlow(ws: Socket): void {
    const { session, bufferedBytes } = ws.data;
    this.#options.counters.slowCut++;
    log.info("live.slow_cut", { session, buffered_bytes: bufferedBytes });
    ws.terminate();
  }

  #cutLargest(total: number): void {
    const largest = [...this.#wheel.all()].toSorted(
      (a, b) => b.data.bufferedBytes - a.data.bufferedBytes,
    );
    let bytes = total;
    for (const ws of largest) {
      if (bytes <= this.#options.bufferedBytesMax) return;
      bytes -= ws.data.bufferedBytes;
      this.#cutSlow(ws);
    }
  }
}
