import type { Subprocess } from "bun";
import type { BuiltSegment } from "../segments/build.ts";
import type { BuildJob } from "../segments/segment-kind.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { BuildAnswer, BuildRequest } from "./builder-child.ts";
import { BUILDER_CHILD_COMMAND } from "./child-command.ts";
import { spawnChild } from "./spawn-child.ts";
import { lowerPriority, niceness } from "./lower-priority.ts";

const log = getLogger("index");

/** A child without work for so long is ended: a build leaves it with hundreds of megabytes. */
const idleMs = 10_000;

interface Waiting {
  job: BuildJob;
  resolve: (built: BuiltSegment) => void;
  reject: (reason: Error) => void;
}

/** Builds segments in one child process, one at a time, behind everything else that the machine does. */
export class Builder implements AsyncDisposable {
  #child: Subprocess | undefined;
  #running: Waiting | undefined;
  #queue: Waiting[] = [];
  #nextId = 1;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Rejects when the child dies, when it cannot build the segment, or when the signal is aborted. */
  run(job: BuildJob, signal: AbortSignal): Promise<BuiltSegment> {
    const { promise, resolve, reject } = Promise.withResolvers<BuiltSegment>();
    const waiting: Waiting = { job, resolve, reject };
    this.#queue.push(waiting);
    const cancel = (): void => this.#cancel(waiting);
    signal.addEventListener("abort", cancel, { once: true });
    this.#dispatch();
    // The signal lives as long as the index, which is built many times.
    return promise.finally(() => signal.removeEventListener("abort", cancel));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    for (const waiting of this.#queue.splice(0))
      waiting.reject(new Error("the server is stopping"));
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  #dispatch(): void {
    if (this.#running !== undefined || this.#closed) return;
    const next = this.#queue.shift();
    if (next === undefined) {
      this.#idle = setTimeout(() => this.#endChild(), idleMs);
      this.#idle.unref();
      return;
    }
    clearTimeout(this.#idle);
    this.#running = next;
    const request: BuildRequest = { id: this.#nextId++, job: next.job };
    const child = (this.#child ??= this.#start());
    try {
      child.send(request);
    } catch {
      // It has been killed, and its end, which fails the job, is about to be told.
    }
  }

  #endChild(): void {
    const child = this.#child;
    // Forgotten before it has ended: the next job must not be sent to it.
    this.#child = undefined;
    child?.kill("SIGKILL");
  }

  #start(): Subprocess {
    const child = spawnChild<BuildAnswer>({
      command: BUILDER_CHILD_COMMAND,
      onMessage: (answer) => this.#finish(answer),
      onExit: (how) => this.#lose(child, how),
    });
    lowerPriority(child.pid, niceness.background);
    log.debug("index.builder_started", { pid: child.pid });
    return child;
  }

  #finish(answer: BuildAnswer): void {
    const running = this.#running;
    this.#running = undefined;
    if (answer.ok) running?.resolve(answer.built);
    else running?.reject(new Error(answer.message));
    this.#dispatch();
  }

  #lose(child: Subprocess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const running = this.#running;
    this.#running = undefined;
    running?.reject(new Error(`the index builder ended (${how})`));
    this.#dispatch();
  }

  #cancel(waiting: Waiting): void {
    waiting.reject(new Error("the build is not needed any more"));
    this.#queue = this.#queue.filter((one) => one !== waiting);
    if (this.#running === waiting) this.#child?.kill("SIGKILL");
  }
}
