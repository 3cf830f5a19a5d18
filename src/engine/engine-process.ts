import type { Subprocess } from "bun";
import { fromFailure } from "../failure.ts";
import type { FromChild, ToChild } from "./calls.ts";
import { ENGINE_COMMAND } from "./child-command.ts";
import { spawnChild } from "./spawn-child.ts";

export interface EngineProcessOptions {
  /** What the child is given first; it waits for it. */
  start: unknown;
  onReady: (ready: Extract<FromChild, { type: "ready" }>) => void;
  onResult: (
    id: number,
    outcome: { ok: true; value: unknown } | { ok: false; error: Error },
  ) => void;
  onEvent: (event: Extract<FromChild, { type: "sealed" | "log" }>) => void;
  /** `how` says in words how it ended; `error` is what it told of before. */
  onExit: (how: string, error: Error | undefined) => void;
}

/** A child of this program that answers calls. */
export class EngineProcess {
  readonly #process: Subprocess;
  #error: Error | undefined;

  constructor(options: EngineProcessOptions) {
    this.#process = spawnChild<FromChild>({
      command: ENGINE_COMMAND,
      onMessage: (message) => this.#receive(message, options),
      onExit: (how) => options.onExit(how, this.#error),
    });
    Promise.resolve(options.start).then(
      (start) => this.send({ type: "start", options: start }),
      () => this.kill(),
    );
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when it has ended. */
  get exited(): Promise<unknown> {
    return this.#process.exited;
  }

  /** A child that has ended hears nothing: its end is told by `onExit`. */
  send(message: ToChild): void {
    if (this.#process.exitCode !== null || this.#process.killed) return;
    try {
      this.#process.send(message);
    } catch (error) {
      // One that was killed by others has no channel any more some milliseconds before its end is known.
      if (!isChannelClosed(error)) throw error;
    }
  }

  /** It keeps nothing that could be lost, and one that hangs would not hear a milder signal. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #receive(message: FromChild, options: EngineProcessOptions): void {
    switch (message.type) {
      case "ready":
        options.onReady(message);
        break;
      case "results":
        for (const { id, value } of message.results) options.onResult(id, { ok: true, value });
        break;
      case "failure":
        this.#fail(message, options);
        break;
      case "sealed":
      case "log":
        options.onEvent(message);
    }
  }

  /** Number 0 is the start: nothing more comes of a child that could not be started. */
  #fail(
    { id, failure }: Extract<FromChild, { type: "failure" }>,
    options: EngineProcessOptions,
  ): void {
    if (id > 0) {
      options.onResult(id, { ok: false, error: fromFailure(failure) });
      return;
    }
    this.#error = fromFailure(failure);
    this.kill();
  }
}

function isChannelClosed(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_IPC_CHANNEL_CLOSED";
}
