import { fromFailure } from "../../failure.ts";
import { Gathered } from "../../lib/gathered.ts";
import { limits } from "../../limits.ts";
import { Problem } from "../../problems.ts";
import type { Commit } from "../store.ts";
import { logEvent } from "./log-event.ts";
import { packWrites } from "./packed-writes.ts";
import { writeBudget, type WriteSize } from "./write-budget.ts";
import {
  type FromWriter,
  type ResultOf,
  type ToWriter,
  type ValuesOf,
  type WriterAnswer,
  type WriterCall,
  type WriterMethod,
  type WriterOptions,
} from "./writer-messages.ts";

export interface WriterThreadOptions extends WriterOptions {
  /** The Worker ended though nobody asked it to: nothing can be written any more. The log has it already. */
  onLost?: (reason: Problem) => void;
  /** Where the Worker's code is; its own file by default. */
  workerUrl?: string;
}

/** A call that waits for its answer. */
interface Waiting {
  size: WriteSize;
  resolve: (value: never) => void;
  reject: (reason: unknown) => void;
}

/**
 * The Worker that writes, seen from the thread that started it. Calls of one turn of the event loop go in one message, or
 * in several where they are many, and the answers of one COMMIT come in one.
 */
export class WriterThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #budget = writeBudget();
  readonly #listeners: ((commit: Commit) => void)[] = [];
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #onLost: (reason: Problem) => void;
  readonly #outgoing = new Gathered<WriterCall<unknown>>(
    (calls) => this.#send(calls),
    limits.writesPerMessageMax,
  );
  #lastId = 0;
  #state: "starting" | "open" | "closing" | "lost" = "starting";
  /** What ended the Worker, where it said so. */
  #failure: Error | undefined;
  #transactions = 0;

  private constructor({ onLost, workerUrl }: WriterThreadOptions) {
    this.#onLost = onLost ?? (() => {});
    this.#worker = new Worker(workerUrl ?? ownUrl());
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromWriter<never>>) =>
      this.#hear(data),
    );
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#failure = new Error(event.message);
    });
    this.#worker.addEventListener("close", () => this.#end());
  }

  /** Starts the Worker, which opens the store. @throws Problem as `LocalStore.open` */
  static async start(folder: string, options: WriterThreadOptions): Promise<WriterThread> {
    const { onLost: _onLost, workerUrl: _workerUrl, ...sent } = options;
    const thread = new WriterThread(options);
    thread.#post({ kind: "open", folder, options: sent });
    try {
      await thread.#opened.promise;
    } catch (error) {
      thread.#state = "lost";
      await thread.#terminate();
      throw error;
    }
    thread.#state = "open";
    return thread;
  }

  /** Transactions committed so far, as this thread has heard. */
  get transactions(): number {
    return this.#transactions;
  }

  /** What waits to be committed. */
  get waiting(): WriteSize {
    return this.#budget.taken();
  }

  /** True while the Worker takes writes. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  listen(listener: (commit: Commit) => void): void {
    this.#listeners.push(listener);
  }

  /** Calls a method of the store in the Worker. @throws what it throws; Problem `busy`, `internal`, `not_ready` */
  async call<M extends WriterMethod>(
    method: M,
    values: ValuesOf<M>,
    size: WriteSize,
  ): Promise<ResultOf<M>> {
    this.#requireOpen();
    this.#budget.take(size);
    const { promise, resolve, reject } = Promise.withResolvers<ResultOf<M>>();
    const id = ++this.#lastId;
    this.#waiting.set(id, { size, resolve, reject });
    this.#outgoing.add({ id, method, values });
    return promise;
  }

  /** Waits for what was called, then lets the Worker close the store and ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#outgoing.flush();
    this.#post({ kind: "close" });
    try {
      await this.#closed.promise;
    } finally {
      await this.#terminate();
    }
  }

  #requireOpen(): void {
    if (this.#state === "lost") {
      throw new Problem("not_ready", "The thread that writes has ended; a restart brings it back.");
    }
    if (this.#state !== "open") throw new Problem("not_ready", "The store is closed.");
  }

  #send(calls: readonly WriterCall<unknown>[]): void {
    try {
      const packed = packWrites(calls);
      if (packed === undefined) this.#post({ kind: "calls", calls });
      else this.#post(packed, [packed.vectors.buffer]);
    } catch {
      // One of them has a value that cannot be sent, a function for example: it fails alone.
      for (const call of calls) this.#sendAlone(call);
    }
  }

  #sendAlone(call: WriterCall<unknown>): void {
    try {
      this.#post({ kind: "calls", calls: [call] });
    } catch (error) {
      this.#take(call.id)?.reject(error);
    }
  }

  #post(message: ToWriter<unknown>, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, { transfer });
  }

  #hear(message: FromWriter<never>): void {
    switch (message.kind) {
      case "opened":
        return this.#opened.resolve();
      case "refused":
        return this.#opened.reject(fromFailure(message.failure));
      case "answers":
        this.#transactions = message.transactions;
        return this.#settle(message.commits, message.answers);
      case "event":
        return logEvent(message.event);
      case "closed":
        if (message.failure === undefined) return this.#closed.resolve();
        return this.#closed.reject(fromFailure(message.failure));
      default:
        message satisfies never;
    }
  }

  #settle(commits: readonly Commit[], answers: readonly WriterAnswer<never>[]): void {
    try {
      for (const commit of commits) for (const listener of this.#listeners) listener(commit);
    } finally {
      for (const answer of answers) {
        const waiting = this.#take(answer.id);
        if (answer.ok) waiting?.resolve(answer.value);
        else waiting?.reject(fromFailure(answer.failure));
      }
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(id);
    this.#budget.give(waiting.size);
    return waiting;
  }

  /** The Worker is gone, by our wish or not. */
  #end(): void {
    const gone = new Problem("internal", "The thread that writes has ended.", {
      cause: this.#failure,
    });
    if (this.#state === "starting") this.#opened.reject(gone);
    // Nothing happens where it was closed before.
    if (this.#state === "closing") this.#closed.reject(gone);
    // Nobody knows whether they were committed.
    for (const id of this.#waiting.keys()) this.#take(id)?.reject(gone);
    this.#ended.resolve();
    if (this.#state !== "open") return;
    this.#state = "lost";
    logEvent({ level: "error", event: "store.writer_lost", fields: { error: gone } });
    this.#onLost(gone);
  }

  async #terminate(): Promise<void> {
    // It is idle: a Worker that is ended in the midst of native code takes the process with it.
    this.#worker.terminate();
    await this.#ended.promise;
  }
}

/** Where the Worker's code lies: beside this file, or in the binary, whose files keep their paths from its root. */
function ownUrl(): string {
  const inBinary = /\$bunfs|~BUN/.test(import.meta.url);
  const path = inBinary ? "./src/store/local/writer-worker.ts" : "./writer-worker.ts";
  return new URL(path, import.meta.url).href;
}
