import { PROBLEMS, Problem } from "../problems.ts";
import type { JobFailure } from "../store/job-store.ts";

/** How failed tries are repeated. */
export interface RetryPolicy {
  /** Tries in all, the first included. */
  attemptsMax: number;
  /** Before the second try, doubled before each further one. */
  firstMs: number;
  longestMs: number;
}

/** What a kind gets that says nothing. */
export const RETRY_DEFAULT: RetryPolicy = {
  attemptsMax: 5,
  firstMs: 1000,
  longestMs: 5 * 60_000,
};

/**
 * Milliseconds before the next try: doubled each time, of which a random half is left out, so that jobs that failed
 * together do not come back together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015: equal jitter).
 * `attempt` counts from 1; `random` is from 0 to 1. Whoever refused may have asked for more with `atLeastMs`.
 */
export function retryDelayMs(
  { firstMs, longestMs }: RetryPolicy,
  { attempt, random, atLeastMs = 0 }: { attempt: number; random: number; atLeastMs?: number },
): number {
  const wholeMs = Math.min(longestMs, firstMs * 2 ** (attempt - 1));
  return Math.max(atLeastMs, Math.round(wholeMs / 2 + (random * wholeMs) / 2));
}

/** Why a try failed, and whether another one may succeed. What is no Problem is our own fault, and may have been chance. */
export function failureOf(error: unknown): {
  failure: JobFailure;
  retry: boolean;
  retryAfterMs: number;
} {
  if (!(error instanceof Problem)) {
    const failure = { code: "internal" as const, detail: "Unexpected failure; the log has it." };
    return { failure, retry: true, retryAfterMs: 0 };
  }
  const { code, detail, retryAfterMs = 0 } = error;
  return { failure: { code, detail }, retry: PROBLEMS[code].retry, retryAfterMs };
}
