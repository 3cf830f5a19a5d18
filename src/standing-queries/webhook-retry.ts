/** Longest pauses after each try that failed: a few seconds at first, a day at last. */
const PAUSES_MS: readonly number[] = [
  5_000,
  30_000,
  2 * 60_000,
  10 * 60_000,
  60 * 60_000,
  6 * 60 * 60_000,
  24 * 60 * 60_000,
];

/** Longest wait that a receiver may ask for. */
const ASKED_MS_MAX = 60 * 60_000;

/**
 * How long to wait after a number of tries that failed, in milliseconds; undefined where there is to be no other. With full
 * jitter: anything up to the pause, so that those who failed together do not come back together.
 * @param askedMs what the receiver asked to wait for
 */
export function retryPauseMs(
  attempts: number,
  { random, askedMs = 0 }: { random: () => number; askedMs?: number | undefined },
): number | undefined {
  const pauseMs = PAUSES_MS[attempts - 1];
  if (pauseMs === undefined) return undefined;
  return Math.max(Math.floor(random() * pauseMs), Math.min(askedMs, ASKED_MS_MAX));
}
