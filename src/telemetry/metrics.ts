import { endsWithin } from "../lib/within.ts";
import { limits } from "../limits.ts";
import {
  INSTRUMENTS,
  type Instrument,
  type InstrumentKind,
  type InstrumentName,
  type LabelsOf,
  type NamesOf,
} from "./instruments.ts";
import {
  countTable,
  distributionTable,
  type Count,
  type Distribution,
  type Point,
  type SeriesTable,
} from "./metric-series.ts";
import { createRemoteNumbers, type RemoteNumbers } from "./remote-numbers.ts";

/** An instrument's series now. */
export interface Family {
  name: InstrumentName;
  points: readonly Point[];
}

/** A counter by its labels. `of` gives the series itself, for hot paths that keep it. */
export interface LabelledCount<L> {
  add(amount: number, labels: L): void;
  of(labels: L): Count;
}

/** A histogram by its labels. */
export interface LabelledDistribution<L> {
  record(value: number, labels: L): void;
  of(labels: L): Distribution;
}

type Observed = Exclude<InstrumentKind, "histogram">;

interface Observer {
  labels: readonly string[];
  read: () => number;
}

/** The numbers of one process. */
export interface Metrics {
  /** False where the settings want none: hot paths then leave them out. */
  enabled: boolean;
  counter<N extends NamesOf<"counter" | "up_down_counter">>(name: N): LabelledCount<LabelsOf<N>>;
  histogram<N extends NamesOf<"histogram">>(name: N): LabelledDistribution<LabelsOf<N>>;
  /**
   * Has a number read whenever somebody looks: how a room's plain counter becomes a metric. Numbers of the same name and
   * labels add up. Disposing ends it.
   */
  observe<N extends NamesOf<Observed>>(
    name: N,
    read: () => number,
    ...labels: keyof LabelsOf<N> extends never ? [] : [labels: LabelsOf<N>]
  ): Disposable;
  /** Has something done before each look, for `limits.metricsWaitMs` at most: what can only be asked for. */
  refresh(work: () => Promise<void>): Disposable;
  /** Numbers of other processes, which are added to those of this one. */
  readonly remote: RemoteNumbers;
  /** Everything, in the order of the table of instruments. */
  collect(): Promise<Family[]>;
  /** As `collect`, at once and of this process only. */
  read(): Family[];
}

/** A set of all instruments, at zero. */
export function createMetrics(): Metrics {
  const counts = new Map<InstrumentName, SeriesTable<Count>>();
  const distributions = new Map<InstrumentName, SeriesTable<Distribution>>();
  const observers = new Map<InstrumentName, Set<Observer>>();
  const refreshers = new Set<() => Promise<void>>();
  const remote = createRemoteNumbers();
  let refused = 0;
  const onRefused = (): void => void refused++;
  // A number without labels is there from the start, so that a rate over it sees its first step.
  for (const [name, { kind, labels, buckets = [] }] of entries()) {
    if (labels.length > 0 || kind === "gauge") continue;
    if (kind === "histogram")
      tableOf(distributions, name, () => distributionTable(buckets, onRefused)).of([]);
    else tableOf(counts, name, () => countTable(onRefused)).of([]);
  }
  const read = (): Family[] =>
    entries().map(([name]) => ({
      name,
      points: [
        ...(distributions.get(name)?.points() ?? []),
        ...numberPoints(counts.get(name)?.points() ?? [], observers.get(name)),
      ],
    }));
  const metrics: Metrics = {
    enabled: true,
    remote,
    counter(name) {
      const table = tableOf(counts, name, () => countTable(onRefused));
      const valuesOf = labelReader(name);
      return {
        of: (labels) => table.of(valuesOf(labels)),
        add: (amount, labels) => table.of(valuesOf(labels)).add(amount),
      };
    },
    histogram(name) {
      const { buckets }: Instrument = INSTRUMENTS[name];
      const table = tableOf(distributions, name, () => distributionTable(buckets ?? [], onRefused));
      const valuesOf = labelReader(name);
      return {
        of: (labels) => table.of(valuesOf(labels)),
        record: (value, labels) => table.of(valuesOf(labels)).record(value),
      };
    },
    observe(name, numberOf, ...[labels = {}]) {
      const observer: Observer = { labels: labelReader(name)(labels), read: numberOf };
      const known = observers.get(name) ?? new Set();
      observers.set(name, known.add(observer));
      return { [Symbol.dispose]: () => void known.delete(observer) };
    },
    refresh(work) {
      refreshers.add(work);
      return { [Symbol.dispose]: () => void refreshers.delete(work) };
    },
    async collect() {
      await within(limits.metricsWaitMs, [...refreshers]);
      return remote.addTo(read());
    },
    read,
  };
  metrics.observe("metric_series_refused_total", () => refused);
  return metrics;
}

/** The numbers of this process. */
export const metrics = createMetrics();

/**
 * The instruments of what the program is for. They are the numbers of this process:
 * `getBusinessMetrics().jobs_created_total.add(1, { collection: "rules", priority: "high" })`.
 */
export function getBusinessMetrics() {
  return business;
}

const business = {
  jobs_created_total: metrics.counter("jobs_created_total"),
  jobs_completed_total: metrics.counter("jobs_completed_total"),
  job_status_transitions_total: metrics.counter("job_status_transitions_total"),
  active_jobs: metrics.counter("active_jobs"),
  job_duration_seconds: metrics.histogram("job_duration_seconds"),
  ingest_run_velocity: metrics.histogram("ingest_run_velocity"),
  /** Observed: `collection_health_score.observe(() => 87, { collection: "rules" })`. */
  collection_health_score: {
    observe: (read: () => number, labels: LabelsOf<"collection_health_score">): Disposable =>
      metrics.observe("collection_health_score", read, labels),
  },
} as const;

function entries(): [InstrumentName, Instrument][] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.entries forgets that its keys are those of the table
  return Object.entries(INSTRUMENTS) as [InstrumentName, Instrument][];
}

/** The table of an instrument, made at its first use. */
function tableOf<S>(
  tables: Map<InstrumentName, SeriesTable<S>>,
  name: InstrumentName,
  make: () => SeriesTable<S>,
): SeriesTable<S> {
  const table = tables.get(name) ?? make();
  tables.set(name, table);
  return table;
}

/** Reads label values in the instrument's order. */
function labelReader(
  name: InstrumentName,
): (labels: Readonly<Record<string, string | undefined>>) => readonly string[] {
  const { labels: names }: Instrument = INSTRUMENTS[name];
  return (labels) => names.map((label) => labels[label] ?? "");
}

/** What was counted and what is observed, added up by labels; one that cannot be read costs itself and no other. */
function numberPoints(
  counted: readonly Point[],
  observers: ReadonlySet<Observer> | undefined,
): Point[] {
  const sums = new Map<string, { labels: readonly string[]; value: number }>();
  for (const point of counted)
    if ("value" in point) sums.set(point.labels.join("\0"), { ...point });
  for (const { labels, read } of observers ?? []) {
    const key = labels.join("\0");
    const sum = sums.get(key) ?? { labels, value: 0 };
    try {
      sum.value += read();
      sums.set(key, sum);
    } catch {
      continue;
    }
  }
  return [...sums.values()];
}

/** Does all of it side by side, and waits so long at most. What fails has its old numbers. */
async function within(waitMs: number, works: readonly (() => Promise<void>)[]): Promise<void> {
  if (works.length === 0) return;
  await endsWithin(waitMs, Promise.allSettled(works.map(async (work) => work())));
}
