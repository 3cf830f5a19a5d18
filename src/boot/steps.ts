import { valueWithin } from "../lib/within.ts";
import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { getLogger } from "../telemetry/logs.ts";

const log = getLogger("boot");

/**
 * Waits for one step of the start, but no longer than `limitMs`. What a step that comes too late has opened is closed
 * again. @throws Problem `start_timeout`, and what the step throws
 */
export async function inTime<T>(
  step: string,
  work: Promise<T>,
  { limitMs }: { limitMs: number },
): Promise<T> {
  let isLate = false;
  const ended = work.then(async (value) => {
    if (isLate) await closeLate(value);
    return { value };
  });
  const done = await valueWithin(limitMs, ended);
  if (done !== undefined) return done.value;
  isLate = true;
  throw new Problem(
    "start_timeout",
    `The step "${step}" took longer than ${limitMs / 1000} s (STARTUP_TIMEOUT); nothing of it is lost, and a longer time lets it end.`,
  );
}

async function closeLate(value: unknown): Promise<void> {
  if (typeof value !== "object" || value === null || !(Symbol.asyncDispose in value)) return;
  const close = value[Symbol.asyncDispose];
  if (typeof close === "function") await close.call(value);
}

/** Closes a part in its turn, says so, and goes on without it where it takes too long. */
export function closing(stack: AsyncDisposableStack, name: string, part: AsyncDisposable): void {
  stack.defer(async () => {
    const start = performance.now();
    const closed = part[Symbol.asyncDispose]().then(() => true);
    const isClosed = await valueWithin(limits.stopStepMsMax, Promise.resolve(closed));
    const duration_ms = Math.round(performance.now() - start);
    if (isClosed === true) log.info("part.closed", { part: name, duration_ms });
    else log.error("part.not_closed", { part: name, duration_ms });
  });
}
