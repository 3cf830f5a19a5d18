import { setPriority } from "node:os";

/**
 * How far children stand behind the server's own thread, which needs little and is waited for by everyone; the
 * background stands behind the engines.
 */
export const niceness = { engine: 5, background: 10 } as const;

/** Lets others go before a process, where the system allows it: it is only a courtesy. */
export function lowerPriority(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
  } catch {
    // Not every system lets a process do that.
  }
}
