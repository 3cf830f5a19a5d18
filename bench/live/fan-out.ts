import { LatencyHistogram } from "../support/load-histogram.ts";
import type { Crowd, CrowdListener } from "./crowd.ts";
import { payloadAt, timeIn } from "./payload.ts";
import { cpuSeconds } from "../support/process-facts.ts";

/** Publications that may be under way at once; a power of two. */
const UNDER_WAY_MAX = 4096;
/** Everything published has reached everyone within this, or is lost. */
const SILENCE_MS_MAX = 20_000;

/** At a steady rate whatever comes of it, or as fast as they reach everyone with so many under way. */
export type Load = { kind: "paced"; perSecond: number } | { kind: "flat-out"; inFlight: number };

/** What a while of fan-out gave. */
export interface FanOutReport {
  publications: number;
  deliveries: number;
  perSecond: number;
  /** From when a publication was meant to be sent to a subscriber's reading it; a sample of the subscribers. */
  p50Ms: number;
  p99Ms: number;
  /** CPU time of the server for one delivery, µs, all of its threads. */
  serverCpuUs: number;
  /** How much of one core the server had. */
  serverCores: number;
  clientCpuUs: number;
  clientCores: number;
  bytesPerDelivery: number;
}

/** Publishes to a crowd and counts what arrives. Several loads may follow one another, each over when all has arrived. */
export class FanOut implements CrowdListener {
  readonly #crowd: Crowd;
  /** How many subscribers a publication has not reached yet, by its number. */
  readonly #missing: Uint32Array;
  readonly #latencies = new LatencyHistogram();
  #sent = 0;
  #arrived = 0;
  #inFlight = 0;
  #wake: (() => void) | undefined;
  #now = 0;

  /** All subscribers must have joined, and none of them have received anything. */
  constructor(crowd: Crowd) {
    this.#crowd = crowd;
    this.#missing = new Uint32Array(UNDER_WAY_MAX).fill(crowd.subscribers);
    crowd.listener = this;
  }

  delivered(from: number, count: number): void {
    const missing = this.#missing;
    const before = this.#arrived;
    for (let number = from; number < from + count; number++) {
      const at = number & (UNDER_WAY_MAX - 1);
      const left = (missing[at] ?? 0) - 1;
      missing[at] = left > 0 ? left : this.#crowd.subscribers;
      if (left === 0) this.#arrived++;
    }
    this.#now = 0;
    if (this.#arrived === before) return;
    this.#fill();
    if (this.#arrived === this.#sent) this.#wake?.();
  }

  sampled(bytes: Buffer, at: number): void {
    const us = timeIn(bytes, at);
    if (us === undefined) return;
    // One look at the clock for all that one read brought.
    if (this.#now === 0) this.#now = Bun.nanoseconds() / 1000;
    this.#latencies.add(this.#now - us);
  }

  /** Publishes for a while and waits until everything has reached everyone. */
  async run(load: Load, options: { serverPid: number; seconds: number }): Promise<FanOutReport> {
    const crowd = this.#crowd;
    this.#latencies.clear();
    const [sent, deliveries, bytes] = [this.#sent, crowd.deliveries, crowd.bytes];
    const [cpu, ownCpu, from] = [
      cpuSeconds(options.serverPid),
      process.cpuUsage(),
      Bun.nanoseconds(),
    ];
    await (load.kind === "paced"
      ? this.#pace(load.perSecond, options.seconds)
      : this.#rush(load.inFlight, options.seconds));
    await this.#allArrived();
    const seconds = (Bun.nanoseconds() - from) / 1e9;
    const { user, system } = process.cpuUsage(ownCpu);
    const serverSeconds = cpuSeconds(options.serverPid) - cpu;
    const count = crowd.deliveries - deliveries;
    const publications = this.#sent - sent;
    if (count !== publications * crowd.subscribers) throw new Error("some came twice, or not");
    return {
      publications,
      deliveries: count,
      perSecond: count / seconds,
      p50Ms: this.#latencies.quantile(0.5) / 1000,
      p99Ms: this.#latencies.quantile(0.99) / 1000,
      serverCpuUs: (serverSeconds * 1e6) / count,
      serverCores: serverSeconds / seconds,
      clientCpuUs: (user + system) / count,
      clientCores: (user + system) / 1e6 / seconds,
      bytesPerDelivery: (crowd.bytes - bytes) / count,
    };
  }

  async #pace(perSecond: number, seconds: number): Promise<void> {
    const from = Bun.nanoseconds();
    for (let number = 0; number < perSecond * seconds; number++) {
      if (this.#crowd.failure !== undefined) throw this.#crowd.failure;
      const dueAt = from + (number / perSecond) * 1e9;
      const waitMs = (dueAt - Bun.nanoseconds()) / 1e6;
      if (waitMs > 0) await Bun.sleep(waitMs);
      this.#publish(1, dueAt / 1000);
    }
  }

  async #rush(inFlight: number, seconds: number): Promise<void> {
    this.#inFlight = inFlight;
    this.#fill();
    await Bun.sleep(seconds * 1000);
    this.#inFlight = 0;
  }

  #fill(): void {
    const count = this.#inFlight - (this.#sent - this.#arrived);
    if (count > 0) this.#publish(count, Bun.nanoseconds() / 1000);
  }

  #publish(count: number, us: number): void {
    this.#sent += count;
    if (this.#sent - this.#arrived > UNDER_WAY_MAX) this.#crowd.fail("the server does not keep up");
    else this.#crowd.publish(Array.from({ length: count }, () => payloadAt(us)));
  }

  async #allArrived(): Promise<void> {
    if (this.#arrived === this.#sent) return;
    const all = Promise.withResolvers<void>();
    this.#wake = all.resolve;
    const failure = (): Error =>
      this.#crowd.failure ??
      new Error(
        `${this.#sent - this.#arrived} of ${this.#sent} publications did not reach everyone`,
      );
    const timer = setTimeout(() => all.reject(failure()), SILENCE_MS_MAX);
    await all.promise.finally(() => clearTimeout(timer));
    this.#wake = undefined;
  }
}
