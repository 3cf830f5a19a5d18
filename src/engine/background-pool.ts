import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { forwardLine, getLogger } from "../telemetry/logs.ts";
import { EngineProcess } from "./engine-process.ts";
import { lowerPriority, niceness } from "./lower-priority.ts";

const log = getLogger("engine");

/** A child without work for so long is ended: it keeps a model and its memory. */
const idleMs = 20_000;

interface Job {
  name: string;
  args: unknown;
  resolve: (value: unknown) => void;
  reject: (reason: Error) => void;
}

interface Child {
  process: EngineProcess;
  job: Job | undefined;
  /** Ends the child: past the deadline of its work, or of its idleness. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Children for what may wait: they run behind everything else that the machine does, one call at a time each. A child is
 * started when there is work for it; one that dies or overruns fails its call and is replaced at the next one.
 */
export class BackgroundPool implements AsyncDisposable {
  readonly #count: number;
  readonly #start: unknown;
  readonly #children = new Set<Child>();
  #queue: Job[] = [];
  #nextId = 1;
  #closed = false;

  /** `start` is what a child is given first. */
  constructor({ count, start }: { count: number; start: unknown }) {
    this.#count = count;
    this.#start = start;
  }

  /**
   * Has a child do something. @throws Problem `busy` when too many calls wait, `embedding_failed` when the child that had
   * it died or overran; and what the call itself throws
   */
  call<Result>(name: string, args: unknown): Promise<Result> {
    if (this.#closed) return Promise.reject(failed("the server is stopping"));
    if (this.#queue.length >= limits.backgroundCallsQueuedMax) {
      const problem = new Problem("busy", "Too many texts wait to be embedded.", {
        retryAfterMs: 1000,
      });
      return Promise.reject(problem);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the child is this same program and answers what the name gives
    this.#queue.push({ name, args, resolve: resolve as (value: unknown) => void, reject });
    this.#dispatch();
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue) job.reject(failed("the server is stopping"));
    this.#queue = [];
    const exits = [...this.#children].map(({ process, timer }) => {
      clearTimeout(timer);
      process.kill();
      return process.exited;
    });
    await Promise.all(exits);
  }

  #dispatch(): void {
    while (this.#queue.length > 0 && !this.#closed) {
      const child = this.#idleChild();
      if (child === undefined) return;
      const job = this.#queue.shift();
      if (job !== undefined) this.#give(child, job);
    }
  }

  #idleChild(): Child | undefined {
    for (const child of this.#children) if (child.job === undefined) return child;
    return this.#children.size < this.#count ? this.#startChild() : undefined;
  }

  #startChild(): Child {
    const child: Child = {
      job: undefined,
      timer: undefined,
      process: new EngineProcess({
        start: this.#start,
        onReady: () => {},
        onResult: (_id, outcome) => this.#finish(child, outcome),
        onEvent: (event) => {
          if (event.type === "log") forwardLine(event.line);
        },
        onExit: (how, error) => this.#lose(child, error ?? new Error(`it ended (${how})`)),
      }),
    };
    this.#children.add(child);
    lowerPriority(child.process.pid, niceness.background);
    log.debug("engine.child_started", { pid: child.process.pid });
    return child;
  }

  #give(child: Child, job: Job): void {
    clearTimeout(child.timer);
    child.job = job;
    child.timer = setTimeout(() => child.process.kill(), limits.backgroundCallMsMax);
    child.process.send({ type: "call", id: this.#nextId++, name: job.name, args: job.args });
  }

  #finish(child: Child, outcome: { ok: true; value: unknown } | { ok: false; error: Error }): void {
    const job = this.#take(child);
    if (outcome.ok) job?.resolve(outcome.value);
    else job?.reject(outcome.error);
    this.#dispatch();
    if (child.job !== undefined) return;
    child.timer = setTimeout(() => {
      // Forgotten before it has ended: the next call must not be given to it.
      this.#children.delete(child);
      child.process.kill();
    }, idleMs);
    child.timer.unref();
  }

  #lose(child: Child, error: Error): void {
    const wasKnown = this.#children.delete(child);
    const job = this.#take(child);
    if (!this.#closed && wasKnown)
      log.warning("engine.child_lost", {
        pid: child.process.pid,
        error,
        had_work: job !== undefined,
      });
    job?.reject(failed(error.message));
    this.#dispatch();
  }

  #take(child: Child): Job | undefined {
    clearTimeout(child.timer);
    const job = child.job;
    child.job = undefined;
    return job;
  }
}

function failed(why: string): Problem {
  return new Problem("embedding_failed", "The text could not be embedded now.", {
    cause: new Error(why),
    retryAfterMs: 1000,
  });
}
