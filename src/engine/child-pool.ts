import type { Subprocess } from "bun";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";
import { EMBEDDING_CHILD_COMMAND } from "./child-command.ts";
import type { BatchAnswer, BatchRequest } from "./embedding-child.ts";
import { spawnChild } from "./spawn-child.ts";

const log = getLogger("engine");

type Vectors = (Float32Array | undefined)[];

interface Job {
  model: string;
  texts: readonly string[];
  resolve: (vectors: Vectors) => void;
  reject: (reason: Problem) => void;
}

interface Child {
  process: Subprocess;
  job: Job | undefined;
  deadline: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Children of the same program that embed batches, one batch at a time each. A child is started when there is work for
 * it; one that dies or overruns fails its batch and is replaced at the next one.
 */
export class ChildPool implements AsyncDisposable {
  readonly #count: number;
  readonly #children = new Set<Child>();
  #queue: Job[] = [];
  #nextId = 1;
  #closed = false;

  constructor(count: number) {
    this.#count = count;
  }

  /**
   * One vector per text, in order. @throws Problem `busy` when too many batches wait, `embedding_failed` when the child
   * that had the batch died, overran or could not load the model
   */
  embed(model: string, texts: readonly string[]): Promise<Vectors> {
    if (this.#closed) throw failed("the server is stopping");
    if (this.#queue.length >= limits.embeddingBatchesQueuedMax) {
      throw new Problem("busy", "Too many texts wait to be embedded.", { retryAfterMs: 1000 });
    }
    const { promise, resolve, reject } = Promise.withResolvers<Vectors>();
    this.#queue.push({ model, texts, resolve, reject });
    this.#dispatch();
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue) job.reject(failed("the server is stopping"));
    this.#queue = [];
    const exits = [...this.#children].map((child) => {
      // A child keeps nothing that could be lost, and one that hangs would not hear a milder signal.
      child.process.kill("SIGKILL");
      return child.process.exited;
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
    return this.#children.size < this.#count ? this.#start() : undefined;
  }

  #start(): Child {
    const child: Child = {
      job: undefined,
      deadline: undefined,
      process: spawnChild<BatchAnswer>({
        command: EMBEDDING_CHILD_COMMAND,
        onMessage: (answer) => this.#finish(child, answer),
        onExit: (how) => this.#lose(child, how),
      }),
    };
    this.#children.add(child);
    log.debug("engine.child_started", { pid: child.process.pid });
    return child;
  }

  #give(child: Child, job: Job): void {
    child.job = job;
    child.deadline = setTimeout(() => child.process.kill("SIGKILL"), limits.embeddingBatchMsMax);
    const request: BatchRequest = { id: this.#nextId++, model: job.model, texts: [...job.texts] };
    child.process.send(request);
  }

  #finish(child: Child, answer: BatchAnswer): void {
    const job = this.#take(child);
    if (answer.ok) job?.resolve(answer.vectors.map((vector) => vector ?? undefined));
    else job?.reject(failed(answer.message));
    this.#dispatch();
  }

  #lose(child: Child, how: string): void {
    this.#children.delete(child);
    const job = this.#take(child);
    if (!this.#closed)
      log.warning("engine.child_lost", {
        pid: child.process.pid,
        how,
        had_work: job !== undefined,
      });
    job?.reject(failed(`the embedding process ended (${how})`));
    this.#dispatch();
  }

  #take(child: Child): Job | undefined {
    clearTimeout(child.deadline);
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
