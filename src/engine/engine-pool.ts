import type { Step } from "../lib/timeline.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { forwardLine, getLogger } from "../telemetry/logs.ts";
import { EngineProcess } from "./engine-process.ts";
import { lowerPriority, niceness } from "./lower-priority.ts";

const log = getLogger("engine");

const backOffMsFirst = 100;
const backOffMsMax = 10_000;

/** One that served so long before it died is no crash loop. */
const steadyMs = 500;

/** Deaths in a row, none of which came to serve, after which a first start is given up. */
const firstStartsMax = 3;

export interface EnginePoolOptions {
  count: number;
  /** What the child of a number is given at its start, or a promise of it. */
  start: (number: number) => unknown;
  onSealed: (collectionKey: number, sequence: number) => void;
}

export interface CallOptions {
  /** The engine that must answer; any may if it is missing. */
  engine?: number;
  /** Past it the engine that has the call is ended, and the call rejected with `timeout`. */
  deadlineMs?: number;
  /** Behind the calls of others. */
  background?: boolean;
  /** Arguments of the last try, after engines ended over the call. */
  lastArgs?: unknown;
}

interface Job {
  name: string;
  args: unknown;
  options: CallOptions;
  resolve: (value: unknown) => void;
  reject: (reason: Error) => void;
  /** Engines that ended over it, or while they had it. */
  losses: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

interface Slot {
  number: number;
  process: EngineProcess | undefined;
  ready: boolean;
  readySinceMs: number;
  inFlight: Map<number, Job>;
  /** Deaths in a row that came before it was steady. */
  failures: number;
  restarts: number;
  steps: readonly Step[];
  restart: ReturnType<typeof setTimeout> | undefined;
}

/** How an engine is. */
export interface EngineState {
  engine: number;
  pid: number | null;
  state: "ready" | "starting";
  in_flight: number;
  restarts: number;
  /** What its last start took its time for. */
  steps: readonly Step[];
}

/**
 * A fixed number of supervised children. A call goes to the least busy one; one that dies is started again, and what it
 * had is given to another. The first engine owns the index files.
 */
export class EnginePool implements AsyncDisposable {
  readonly #options: EnginePoolOptions;
  readonly #slots: Slot[];
  readonly #queue: Job[] = [];
  readonly #background: Job[] = [];
  readonly #firstStart = Promise.withResolvers<void>();
  #nextId = 1;
  #closed = false;

  constructor(options: EnginePoolOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.count }, (_, number) => ({
      number,
      process: undefined,
      ready: false,
      readySinceMs: 0,
      inFlight: new Map<number, Job>(),
      failures: 0,
      restarts: 0,
      steps: [],
      restart: undefined,
    }));
    this.#firstStart.promise.catch(() => {});
    for (const slot of this.#slots) this.#start(slot);
  }

  /** Resolves when every engine serves. @throws what an engine says that cannot be started */
  opened(): Promise<void> {
    return this.#firstStart.promise;
  }

  /**
   * Has an engine do something. @throws Problem `busy` when too many calls wait, `timeout` past the deadline,
   * `engine_lost` when engines ended over it; and what the call itself throws
   */
  call<Result>(name: string, args: unknown, options: CallOptions = {}): Promise<Result> {
    if (this.#closed) return Promise.reject(stopping());
    const queue = options.background === true ? this.#background : this.#queue;
    if (queue.length >= limits.engineCallsQueuedMax) {
      return Promise.reject(
        new Problem("busy", "Too many requests wait for an engine.", { retryAfterMs: 1000 }),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const job: Job = {
      name,
      args,
      options,
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the child is this same program and answers what the name gives
      resolve: resolve as (value: unknown) => void,
      reject,
      losses: 0,
      timer: undefined,
    };
    const { deadlineMs } = options;
    if (deadlineMs !== undefined) job.timer = setTimeout(() => this.#overrun(job), deadlineMs);
    queue.push(job);
    this.#dispatch();
    return promise;
  }

  /** Tells every engine, or all but the owner of the files, something. One that is being started hears it too. */
  tell(name: string, args: unknown, { owner = true }: { owner?: boolean } = {}): void {
    for (const { number, process } of this.#slots) {
      if (owner || number > 0) process?.send({ type: "tell", name, args });
    }
  }

  states(): EngineState[] {
    return this.#slots.map(({ number, process, ready, inFlight, restarts, steps }) => ({
      engine: number,
      pid: process?.pid ?? null,
      state: ready ? "ready" : "starting",
      in_flight: inFlight.size,
      restarts,
      steps,
    }));
  }

  /** No engine has a call, and none waits for one. */
  get isIdle(): boolean {
    return this.waiting === 0 && this.#slots.every(({ inFlight }) => inFlight.size === 0);
  }

  /** Calls that no engine has yet. */
  get waiting(): number {
    return this.#queue.length + this.#background.length;
  }

  /** Lets every engine write down what it has and waits for their ends, for a while. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const job of [...this.#queue.splice(0), ...this.#background.splice(0)]) {
      settle(job, () => job.reject(stopping()));
    }
    await Promise.all(this.#slots.map((slot) => this.#stop(slot)));
  }

  async #stop({ process, ready, restart }: Slot): Promise<void> {
    clearTimeout(restart);
    if (process === undefined) return;
    // One that is starting has written nothing that the next start would not do again.
    const timer = setTimeout(() => process.kill(), ready ? limits.engineStopMsMax : 0);
    process.send({ type: "stop" });
    await process.exited;
    clearTimeout(timer);
  }

  #start(slot: Slot): void {
    slot.process = new EngineProcess({
      start: this.#options.start(slot.number),
      onReady: ({ suspicious, steps }) => {
        slot.steps = steps;
        this.#serve(slot, suspicious);
      },
      onResult: (id, outcome) => this.#finish(slot, id, outcome),
      onEvent: (event) => {
        if (event.type === "log") forwardLine(event.line);
        else this.#sealed(event.collectionKey, event.sequence);
      },
      onExit: (how, error) => this.#lose(slot, how, error),
    });
    lowerPriority(slot.process.pid, niceness.engine);
  }

  #serve(slot: Slot, suspicious: boolean): void {
    slot.ready = true;
    slot.readySinceMs = performance.now();
    log.info("engine.ready", { engine: slot.number, pid: slot.process?.pid });
    // The owner puts aside, at its start, what ended a follower.
    if (suspicious && slot.number !== 0) this.#slots[0]?.process?.kill();
    if (this.#slots.every(({ ready }) => ready)) this.#firstStart.resolve();
    this.#dispatch();
  }

  #sealed(collectionKey: number, sequence: number): void {
    this.#options.onSealed(collectionKey, sequence);
    this.tell("sealed", collectionKey, { owner: false });
  }

  /** Calls first, then what may wait; a call that one engine must answer holds up no other. */
  #dispatch(): void {
    this.#dispatchFrom(this.#queue);
    this.#dispatchFrom(this.#background);
  }

  #dispatchFrom(queue: Job[]): void {
    for (let at = 0; at < queue.length;) {
      const job = queue[at];
      const slot = job === undefined ? undefined : this.#slotFor(job);
      if (job === undefined) return;
      if (slot === undefined) {
        if (job.options.engine === undefined) return;
        at++;
        continue;
      }
      queue.splice(at, 1);
      const id = this.#nextId++;
      slot.inFlight.set(id, job);
      slot.process?.send({ type: "call", id, name: job.name, args: job.args });
    }
  }

  #slotFor({ options: { engine } }: Job): Slot | undefined {
    let best: Slot | undefined;
    for (const slot of this.#slots) {
      if (!slot.ready || (engine !== undefined && engine !== slot.number)) continue;
      if (best === undefined || slot.inFlight.size < best.inFlight.size) best = slot;
    }
    // What looks after an index waits for no query.
    const isFree =
      engine !== undefined || (best?.inFlight.size ?? 0) < limits.engineCallsInFlightMax;
    return isFree ? best : undefined;
  }

  #finish(
    slot: Slot,
    id: number,
    outcome: { ok: true; value: unknown } | { ok: false; error: Error },
  ): void {
    const job = slot.inFlight.get(id);
    if (job === undefined) return;
    slot.inFlight.delete(id);
    settle(job, () => (outcome.ok ? job.resolve(outcome.value) : job.reject(outcome.error)));
    if (this.#queue.length > 0 || this.#background.length > 0) this.#dispatch();
  }

  /** A native call cannot be broken off, so its process is. */
  #overrun(job: Job): void {
    const slot = this.#slots.find(({ inFlight }) => [...inFlight.values()].includes(job));
    for (const queue of [this.#queue, this.#background]) {
      const at = queue.indexOf(job);
      if (at >= 0) queue.splice(at, 1);
    }
    for (const [id, one] of slot?.inFlight ?? []) if (one === job) slot?.inFlight.delete(id);
    job.reject(new Problem("timeout", "The request took longer than it may (REQUEST_TIMEOUT)."));
    if (slot === undefined) return;
    log.error("engine.overrun", { engine: slot.number, call: job.name });
    slot.process?.kill();
  }

  #lose(slot: Slot, how: string, error: Error | undefined): void {
    const wasSteady = slot.ready && performance.now() - slot.readySinceMs > steadyMs;
    const neverServed = slot.readySinceMs === 0;
    slot.process = undefined;
    slot.ready = false;
    const lost = [...slot.inFlight.values()];
    slot.inFlight.clear();
    if (this.#closed) {
      for (const job of lost) settle(job, () => job.reject(stopping()));
      return;
    }
    slot.failures = wasSteady ? 0 : slot.failures + 1;
    log.error("engine.lost", { engine: slot.number, how, calls: lost.length, error });
    if (neverServed && slot.failures >= firstStartsMax) {
      this.#firstStart.reject(error ?? new Error(`an engine cannot be started (${how})`));
    }
    for (const job of lost) this.#tryAgain(job);
    const delayMs =
      slot.failures <= 1 ? 0 : Math.min(backOffMsMax, backOffMsFirst * 2 ** (slot.failures - 2));
    slot.restarts++;
    slot.restart = setTimeout(() => this.#start(slot), delayMs);
    this.#dispatch();
  }

  /** Once as it was, in case another call ended the engine, then in its last form. */
  #tryAgain(job: Job): void {
    job.losses++;
    const { lastArgs, background } = job.options;
    if (job.losses > 2) {
      settle(job, () => job.reject(lostProblem()));
      return;
    }
    if (job.losses === 2) {
      if (lastArgs === undefined) {
        settle(job, () => job.reject(lostProblem()));
        return;
      }
      job.args = lastArgs;
    }
    (background === true ? this.#background : this.#queue).unshift(job);
  }
}

function settle(job: Job, act: () => void): void {
  clearTimeout(job.timer);
  act();
}

function stopping(): Problem {
  return new Problem("not_ready", "The server is stopping.", { retryAfterMs: 1000 });
}

function lostProblem(): Problem {
  return new Problem("engine_lost", "The engines that had the request ended.", {
    retryAfterMs: 1000,
  });
}
