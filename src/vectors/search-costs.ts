/** Where the averages begin: measured at 384 dimensions on 100,000 rows, and in proportion to the dimensions. */
const nsPerScoredDimension = 0.9;
const nsPerFetchedDimension = 18;

/** A key that is looked up costs this share of a row that is scored. */
const lookUpShare = 1 / 8;

/**
 * Weights of a new measurement below and above the average. What a search took beyond its work is other programs' time:
 * the average keeps to the quicker fifth, in which there is little of that.
 */
const quickerWeight = 1 / 16;
const slowerWeight = 1 / 64;

/** A measurement counts for no more than this many times the average, or than the reciprocal: pauses are no costs. */
const outlierMax = 4;

/**
 * What is not chosen drifts, by this share a search, to where it would be if this machine were as much slower or faster at it
 * as at what is chosen: a bad spell is forgotten, and a slow machine does not make the one look dear that is in use.
 */
const driftShare = 1 / 64;

/** Scored rows, or candidates, below which a measurement says more about the clock. */
const workMin = 64;

/**
 * What the two ways of searching a segment cost on this machine, learnt from the searches themselves as exponentially
 * weighted averages: scoring rows one by one, and fetching candidates from the graph.
 */
export class SearchCosts {
  readonly #scoredFirst: number;
  readonly #fetchedFirst: number;
  #scored: number;
  #fetched: number;

  constructor(dimensions: number) {
    this.#scored = this.#scoredFirst = nsPerScoredDimension * dimensions;
    this.#fetched = this.#fetchedFirst = nsPerFetchedDimension * dimensions;
  }

  /** Expected ns of looking so many keys up and scoring so many rows. */
  scan(work: { lookUps: number; rows: number }): number {
    return this.#scored * (work.rows + work.lookUps * lookUpShare);
  }

  /** Expected ns of a graph search; candidates below the graph's least number (ef) count as that many. */
  graph(candidates: number): number {
    return this.#fetched * candidates;
  }

  scanTook(ns: number, { lookUps, rows }: { lookUps: number; rows: number }): void {
    const work = rows + lookUps * lookUpShare;
    if (work >= workMin) this.#scored = learn(this.#scored, ns / work);
    const expected = (this.#fetchedFirst * this.#scored) / this.#scoredFirst;
    this.#fetched += (expected - this.#fetched) * driftShare;
  }

  graphTook(ns: number, candidates: number): void {
    if (candidates >= workMin) this.#fetched = learn(this.#fetched, ns / candidates);
    const expected = (this.#scoredFirst * this.#fetched) / this.#fetchedFirst;
    this.#scored += (expected - this.#scored) * driftShare;
  }
}

function learn(average: number, measured: number): number {
  const bounded = Math.min(average * outlierMax, Math.max(average / outlierMax, measured));
  return average + (bounded - average) * (measured < average ? quickerWeight : slowerWeight);
}
