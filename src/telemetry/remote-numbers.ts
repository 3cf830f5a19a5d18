import type { Family } from "./metrics.ts";
import { INSTRUMENTS } from "./instruments.ts";
import type { Point } from "./metric-series.ts";

/** Numbers that other processes have sent. */
export interface RemoteNumbers {
  /** Takes the numbers of a process. `life` is another one after each start: what counters had before it stays counted. */
  take(source: string, life: number, families: readonly Family[]): void;
  /** Forgets gauges of a process that has ended; what it counted stays. */
  end(source: string): void;
  /** These families with what other processes have added up. */
  addTo(families: readonly Family[]): Family[];
}

interface Source {
  life: number;
  last: readonly Family[];
  /** What its earlier lives counted. */
  before: Family[];
}

/** Counters add up over the lives of a process, gauges are those of the last word of each that lives. */
export function createRemoteNumbers(): RemoteNumbers {
  const sources = new Map<string, Source>();
  const end = (source: string): void => {
    const known = sources.get(source);
    if (known === undefined) return;
    known.before = addFamilies(known.before, known.last.filter(isCounted));
    known.last = [];
  };
  return {
    take(source, life, families) {
      const known = sources.get(source) ?? { life, last: [], before: [] };
      sources.set(source, known);
      if (known.life !== life) end(source);
      known.life = life;
      known.last = families;
    },
    end,
    addTo: (families) => {
      let sum = [...families];
      for (const { last, before } of sources.values())
        sum = addFamilies(addFamilies(sum, before), last);
      return sum;
    },
  };
}

function isCounted({ name }: Family): boolean {
  const { kind } = INSTRUMENTS[name];
  return kind === "counter" || kind === "histogram";
}

function addFamilies(to: readonly Family[], more: readonly Family[]): Family[] {
  const sums = new Map(to.map((family) => [family.name, family]));
  for (const { name, points } of more) {
    if (points.length === 0) continue;
    sums.set(name, { name, points: addPoints(sums.get(name)?.points ?? [], points) });
  }
  return [...sums.values()];
}

function addPoints(to: readonly Point[], more: readonly Point[]): Point[] {
  const sums = new Map(to.map((point) => [point.labels.join("\0"), point]));
  for (const point of more) {
    const key = point.labels.join("\0");
    const known = sums.get(key);
    sums.set(key, known === undefined ? point : addPoint(known, point));
  }
  return [...sums.values()];
}

function addPoint(one: Point, other: Point): Point {
  if ("value" in one && "value" in other) return { ...one, value: one.value + other.value };
  if ("value" in one || "value" in other) return one;
  const counts = one.counts.map((count, at) => count + (other.counts[at] ?? 0));
  return { labels: one.labels, counts, sum: one.sum + other.sum };
}
