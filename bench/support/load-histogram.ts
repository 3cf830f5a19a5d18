/** Buckets of one power of two: a value is known to 1 in 128. */
const STEPS_BITS = 7;
const STEPS = 2 ** STEPS_BITS;
/** Microseconds up to 2^31, which is half an hour. */
const BUCKETS = (31 - STEPS_BITS + 2) * STEPS;

/**
 * Counts of latencies in buckets that grow with their value, so that a run of any length takes the same memory and
 * counting one takes nanoseconds. After HdrHistogram (Tene, 2014).
 */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Counts one latency, in µs. */
  add(us: number): void {
    const whole = Math.max(0, Math.round(us));
    const bucket = Math.min(BUCKETS - 1, bucketOf(whole));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** The latency in µs that `share` (0…1) of all do not pass; 0 where none was counted. O(buckets). */
  quantile(share: number): number {
    const wanted = share * this.#total;
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= wanted) return middleOf(bucket);
    }
    return 0;
  }
}

/** Below 2 × STEPS every µs has a bucket; above, every power of two has STEPS of them. */
function bucketOf(us: number): number {
  if (us < 2 * STEPS) return us;
  const shift = 31 - Math.clz32(us) - STEPS_BITS;
  return (shift + 1) * STEPS + ((us >>> shift) - STEPS);
}

function middleOf(bucket: number): number {
  if (bucket < 2 * STEPS) return bucket;
  const shift = Math.floor(bucket / STEPS) - 1;
  return (STEPS + (bucket % STEPS) + 0.5) * 2 ** shift;
}
