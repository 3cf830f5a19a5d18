import { systemEnvironment, type Environment } from "../../client/src/environment.ts";

export interface HandClock extends Environment {
  /** Moves time on; what is due is called in its order. */
  advance(ms: number): void;
  /** The next moments at which something is due, ms from now. */
  due(): number[];
  /** As when the network or the page comes back. */
  wake(): void;
}

interface Timer {
  atMs: number;
  call: () => void;
}

/** Real sockets, and time that stands still until a test moves it. `random` is always `chance`. */
export function handClock({ chance = 0.5 } = {}): HandClock {
  let nowMs = 0;
  const timers = new Set<Timer>();
  const wakes = new Set<() => void>();
  return {
    socket: (url) => systemEnvironment().socket(url),
    now: () => nowMs,
    after(ms, call) {
      const timer = { atMs: nowMs + ms, call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    random: () => chance,
    onWake(call) {
      wakes.add(call);
      return () => void wakes.delete(call);
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const [next] = [...timers].toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined || next.atMs > endMs) break;
        timers.delete(next);
        nowMs = next.atMs;
        next.call();
      }
      nowMs = endMs;
    },
    due: () => [...timers].map(({ atMs }) => atMs - nowMs).toSorted((a, b) => a - b),
    wake() {
      for (const call of wakes) call();
    },
  };
}
