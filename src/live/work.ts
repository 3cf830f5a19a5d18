/** Counts what is under way, so that a drain can wait for it. */
export interface Work {
  begin(): void;
  end(): void;
  /** Resolves when nothing is under way, or after `timeoutMs`; true if nothing is. */
  idle(timeoutMs: number): Promise<boolean>;
}

export function createWork(): Work {
  let running = 0;
  let waiting: PromiseWithResolvers<void> | undefined;
  return {
    begin: () => void running++,
    end() {
      running--;
      if (running > 0 || waiting === undefined) return;
      waiting.resolve();
      waiting = undefined;
    },
    async idle(timeoutMs) {
      if (running === 0) return true;
      const mine = (waiting ??= Promise.withResolvers());
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, timeoutMs);
      await Promise.race([mine.promise, timeout.promise]);
      clearTimeout(timer);
      return running === 0;
    },
  };
}
