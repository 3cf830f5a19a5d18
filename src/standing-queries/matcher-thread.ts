import { fromFailure } from "../failure.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import type { FromMatcher, MatcherCalls, MatcherMethod, ToMatcher } from "./matcher-messages.ts";

export interface MatcherThreadOptions {
  folder: string;
  /** Lanes in which nothing is matched before their `go`. */
  held: readonly string[];
  onTold: (told: Extract<FromMatcher<never>, { kind: "told" }>) => void;
  onKeep: (keep: Extract<FromMatcher<never>, { kind: "keep" }>) => void;
  /** It ended though nobody asked it to. */
  onLost: (reason: unknown) => void;
  /** Where the Worker's code is; its own file by default. */
  workerUrl?: string;
}

interface Waiting {
  resolve: (value: never) => void;
  reject: (reason: unknown) => void;
}

/** The Worker that matches, seen from the thread that started it. */
export class MatcherThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #options: MatcherThreadOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #lastId = 0;
  #state: "starting" | "open" | "closing" | "lost" = "starting";
  #failure: unknown;

  private constructor(options: MatcherThreadOptions) {
    this.#options = options;
    this.#worker = new Worker(options.workerUrl ?? ownUrl());
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromMatcher<never>>) =>
      this.#hear(data),
    );
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#failure ??= new Error(event.message);
    });
    this.#worker.addEventListener("close", () => this.#end());
  }

  /** Starts the Worker, which opens the store. @throws what it says where it cannot */
  static async start(options: MatcherThreadOptions): Promise<MatcherThread> {
    const thread = new MatcherThread(options);
    thread.#post({ kind: "open", folder: options.folder, held: options.held });
    try {
      await thread.#opened.promise;
    } catch (error) {
      thread.#state = "closing";
      await thread.#terminate();
      throw error;
    }
    thread.#state = "open";
    return thread;
  }

  /** False once it is lost, or is being ended. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** @throws what the call throws; Problem `engine_lost`, `busy` */
  async call<M extends MatcherMethod>(
    method: M,
    value: Parameters<MatcherCalls[M]>[0],
  ): Promise<Awaited<ReturnType<MatcherCalls[M]>>> {
    if (this.#state !== "open") throw matcherLost();
    if (this.#waiting.size >= limits.standingCallsQueuedMax) {
      throw new Problem("busy", "Too many calls wait for the matcher.", { retryAfterMs: 1000 });
    }
    const { promise, resolve, reject } =
      Promise.withResolvers<Awaited<ReturnType<MatcherCalls[M]>>>();
    const id = ++this.#lastId;
    this.#waiting.set(id, { resolve, reject });
    this.#post({ kind: "call", id, method, value });
    return promise;
  }

  /** Tells it something that has no answer; one that has ended hears nothing. */
  tell(message: Extract<ToMatcher<never>, { kind: "remove" | "heard" | "go" | "kept" }>): void {
    // One that is being closed still has to hear that what it waits for is written.
    if (this.#state === "open" || this.#state === "closing") this.#post(message);
  }

  /** Lets the Worker finish what it has begun and ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#post({ kind: "close" });
    await this.#closed.promise;
    await this.#terminate();
    this.#state = "lost";
    for (const { reject } of this.#waiting.values()) reject(matcherLost());
    this.#waiting.clear();
  }

  #post(message: ToMatcher<unknown>): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a Worker's has none, a window's does
    this.#worker.postMessage(message);
  }

  #hear(message: FromMatcher<never>): void {
    switch (message.kind) {
      case "opened":
        return this.#opened.resolve();
      case "answer":
        return this.#settle(message);
      case "told":
        this.#options.onTold(message);
        return this.#post({ kind: "taken", characters: message.characters });
      case "keep":
        return this.#options.onKeep(message);
      case "failed":
        this.#failure = fromFailure(message.failure);
        return this.#worker.terminate();
      case "closed":
        return this.#closed.resolve();
      default:
        message satisfies never;
    }
  }

  #settle(answer: Extract<FromMatcher<never>, { kind: "answer" }>): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.ok) waiting?.resolve(answer.value);
    else waiting?.reject(fromFailure(answer.failure));
  }

  /** The Worker is gone, by our wish or not. */
  #end(): void {
    const reason = this.#failure ?? new Error("the matcher's thread has ended");
    this.#opened.reject(reason);
    // It did all that it was asked for, or cannot any more.
    this.#closed.resolve();
    this.#ended.resolve();
    if (this.#state !== "open") return;
    this.#state = "lost";
    for (const { reject } of this.#waiting.values()) reject(matcherLost(reason));
    this.#waiting.clear();
    this.#options.onLost(reason);
  }

  async #terminate(): Promise<void> {
    this.#worker.terminate();
    await this.#ended.promise;
  }
}

/** What is told while there is no matcher. */
export function matcherLost(cause?: unknown): Problem {
  return new Problem("engine_lost", "Standing queries are being started again.", {
    cause,
    retryAfterMs: 1000,
  });
}

/** Where the Worker's code lies: beside this file, or in the binary, whose files keep their paths from its root. */
function ownUrl(): string {
  const inBinary = /\$bunfs|~BUN/.test(import.meta.url);
  const path = inBinary ? "./src/standing-queries/matcher-worker.ts" : "./matcher-worker.ts";
  return new URL(path, import.meta.url).href;
}
