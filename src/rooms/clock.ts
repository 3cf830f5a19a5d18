/** Time as a part that waits sees it; a test has one of its own. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `run` once after `ms`, unless what it gives is called before. */
  after(ms: number, run: () => void): () => void;
}

/** The machine's. What waits keeps no process alive. */
export const systemClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
