import { limits } from "../limits.ts";

/** One series of a counter or an up-down counter. */
export interface Count {
  add(amount: number): void;
}

/** One series of a histogram. */
export interface Distribution {
  record(value: number): void;
}

/** One series as it is now: a number, or how many values fell into each bucket and their sum. */
export type Point =
  | { labels: readonly string[]; value: number }
  | { labels: readonly string[]; counts: readonly number[]; sum: number };

/** The value of labels past which an instrument takes no new ones. */
const OTHER = "other";

/** Series of one instrument by the values of its labels. */
export interface SeriesTable<S> {
  /** The series of these label values, in the instrument's order. */
  of(labels: readonly string[]): S;
  points(): Point[];
}

interface Made<S> {
  series: S;
  point: (labels: readonly string[]) => Point;
}

/**
 * A table of at most `limits.metricSeriesMax` series: what would be one more is kept under the value `other` of every
 * label, so that whoever makes up names cannot fill the memory.
 */
function seriesTable<S>(make: () => Made<S>, onRefused: () => void): SeriesTable<S> {
  const known = new Map<string, Made<S> & { labels: readonly string[] }>();
  const open = (key: string, labels: readonly string[]): S => {
    const made = { ...make(), labels };
    known.set(key, made);
    return made.series;
  };
  return {
    of(labels) {
      const key = labels.length === 1 ? (labels[0] ?? "") : labels.join("\0");
      const found = known.get(key);
      if (found !== undefined) return found.series;
      if (known.size < limits.metricSeriesMax) return open(key, labels);
      onRefused();
      const others = labels.map(() => OTHER);
      const shared = known.get(others.join("\0"));
      return shared === undefined ? open(others.join("\0"), others) : shared.series;
    },
    points: () => [...known.values()].map(({ point, labels }) => point(labels)),
  };
}

/** Series of a counter: one addition of a number each. */
export function countTable(onRefused: () => void): SeriesTable<Count> {
  return seriesTable(() => {
    let value = 0;
    const series: Count = {
      add: (amount) => {
        value += amount;
      },
    };
    return { series, point: (labels) => ({ labels, value }) };
  }, onRefused);
}

/** Series of a histogram over ascending bounds: a look through some fourteen of them, and an addition. */
export function distributionTable(
  bounds: readonly number[],
  onRefused: () => void,
): SeriesTable<Distribution> {
  const limitsOfBuckets = Float64Array.from(bounds);
  return seriesTable(() => {
    const counts = new Float64Array(bounds.length + 1);
    let sum = 0;
    const series: Distribution = {
      record: (value) => {
        let at = 0;
        while (at < limitsOfBuckets.length && value > (limitsOfBuckets[at] ?? Infinity)) at++;
        counts[at] = (counts[at] ?? 0) + 1;
        sum += value;
      },
    };
    return { series, point: (labels) => ({ labels, counts: [...counts], sum }) };
  }, onRefused);
}
