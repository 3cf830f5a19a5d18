import type { Step } from "../lib/timeline.ts";
import { toFailure } from "../failure.ts";
import type { FromChild, ToChild } from "./calls.ts";
import { GatheredResults } from "./gathered-results.ts";

/** What a child can do, by name. A missing name is our own mistake and answered as a failure. */
export interface Handlers extends AsyncDisposable {
  calls: Readonly<Record<string, (args: never) => unknown>>;
  /** See `Engine.suspicious`. */
  suspicious: boolean;
  /** What the start took its time for, in milliseconds of this process. */
  steps: readonly Step[];
}

/** Sends something to the process that started this one. */
export function sendToParent(message: FromChild): void {
  process.send?.(message);
}

const results = new GatheredResults(sendToParent);

/**
 * Serves the process that started this one until that one says stop or goes, however it went: its end of the pipe
 * closes. Signals to stop are the parent's to handle. `open` is given what the parent says first.
 */
export function serveCalls(open: (options: never) => Promise<Handlers>): Promise<never> {
  const started = Promise.withResolvers<Handlers>();
  // Whoever waits for it is told; here the process ends by it.
  started.promise.catch(() => {});
  process.on("message", (message: ToChild) => {
    if (message.type === "start") {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parent is this same program and sends what `open` takes
      void begin(open, message.options as never).then(started.resolve, started.reject);
    } else if (message.type === "stop") {
      void started.promise.then(
        (handlers) => end(handlers),
        () => process.exit(1),
      );
    } else {
      // What comes before the start has ended waits for it.
      void started.promise.then(
        (handlers) => handle(handlers, message),
        () => {},
      );
    }
  });
  process.on("disconnect", () => process.exit(0));
  // What stops a whole group of processes reaches this one too; its requests are still being finished.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  return new Promise<never>(() => {});
}

async function begin(
  open: (options: never) => Promise<Handlers>,
  options: never,
): Promise<Handlers> {
  try {
    const handlers = await open(options);
    sendToParent({ type: "ready", suspicious: handlers.suspicious, steps: handlers.steps });
    return handlers;
  } catch (error) {
    // The parent ends this process once it has read why.
    sendToParent({ type: "failure", id: 0, failure: toFailure(error) });
    throw error;
  }
}

async function end(handlers: Handlers): Promise<void> {
  await handlers[Symbol.asyncDispose]();
  results.flush();
  process.exit(0);
}

async function handle(
  { calls }: Handlers,
  message: Extract<ToChild, { type: "call" | "tell" }>,
): Promise<void> {
  const id = message.type === "call" ? message.id : undefined;
  const startMs = performance.now();
  try {
    const work = calls[message.name];
    if (work === undefined) throw new Error(`an engine has no call named ${message.name}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parent is this same program and sends what the name takes
    const value = await work(message.args as never);
    if (id !== undefined) results.add({ id, value }, performance.now() - startMs);
  } catch (error) {
    if (id !== undefined) sendToParent({ type: "failure", id, failure: toFailure(error) });
  }
}
