import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";
import { networkOf } from "./client-address.ts";

interface Bucket {
  tokens: number;
  atMs: number;
}

export interface RateLimitOptions {
  perSecond: number;
  burst: number;
  nowMs?: () => number;
}

/** Takes a request of a client. @throws Problem `rate_limited` where it sends too many */
export type TakeRequest = (address: string) => void;

/** A token bucket for each address. Of more addresses than are remembered, the one longest unseen is forgotten. */
export function createRateLimit(options: RateLimitOptions): TakeRequest {
  const { perSecond, burst, nowMs = () => performance.now() } = options;
  const buckets = new Map<string, Bucket>();
  return (address) => {
    const network = networkOf(address);
    const now = nowMs();
    const bucket = buckets.get(network) ?? { tokens: burst, atMs: now };
    // Behind all others: the first of the map is the one longest unseen.
    buckets.delete(network);
    buckets.set(network, bucket);
    if (buckets.size > limits.rateAddressesMax) forgetFirst(buckets);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.atMs) / 1000) * perSecond);
    bucket.atMs = now;
    if (bucket.tokens < 1) {
      throw new Problem("rate_limited", `An address may send ${perSecond} requests a second.`, {
        retryAfterMs: ((1 - bucket.tokens) / perSecond) * 1000,
      });
    }
    bucket.tokens--;
  };
}

function forgetFirst(buckets: Map<string, Bucket>): void {
  for (const first of buckets.keys()) {
    buckets.delete(first);
    return;
  }
}
