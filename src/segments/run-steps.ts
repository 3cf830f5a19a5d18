import type { Steps } from "./segment-kind.ts";

/** The longest that steps hold the thread at once; the last one may overrun it by its own time. */
const sliceMs = 4;

/** Runs steps to their end between the thread's other work. @throws the signal's reason once it is aborted */
export async function runSteps<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const endMs = performance.now() + sliceMs;
    do {
      signal?.throwIfAborted();
      const { done, value } = steps.next();
      if (done === true) return value;
    } while (performance.now() < endMs);
    await new Promise(setImmediate);
  }
}

/** Runs steps to their end at once. */
export function finishSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
