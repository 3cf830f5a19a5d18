/** What this bench must show, judged by the medians. */
import type { ContestantName } from "./contestants.ts";
import {
  figure,
  type Bar,
  type FanOutRow,
  type Figure,
  type IdleRow,
  type LiveResult,
  type MatchRow,
  type StormRow,
} from "./results.ts";

const CPU_IN_RAW_MAX: Partial<Record<ContestantName, number>> = {
  "Slipstream, no history": 1.2,
  "Slipstream, durable history": 1.5,
};
const RATE_IN_SOCKET_IO_MIN = 5;
const STORM_SECONDS_MAX = 3;
const KB_ABOVE_RAW_MAX = 6;
const MATCH_P99_MS_MAX = 20;

const OURS = "Slipstream, durable history";

function atMost(what: string, value: Figure, max: number): Bar {
  return { what, value, bar: `at most ${max}`, held: value.median <= max };
}

function atLeast(what: string, value: Figure, min: number): Bar {
  return { what, value, bar: `at least ${min}`, held: value.median >= min };
}

/** A verdict on each thing that was measured in this run. */
export function barsOf(rows: Pick<LiveResult, "fan_out" | "storm" | "idle" | "match">): Bar[] {
  return [
    ...cpuBars(rows.fan_out),
    ...rateBars(rows.fan_out),
    ...stormBars(rows.storm),
    ...idleBars(rows.idle),
    ...matchBars(rows.match),
  ];
}

const loadOf = (row: FanOutRow): string => `${row.subscribers} subscribers, ${row.load}`;

function cpuBars(rows: readonly FanOutRow[]): Bar[] {
  return rows.flatMap((row) => {
    const max = CPU_IN_RAW_MAX[row.name];
    const what = `CPU a delivery in raw Bun's: ${row.name}, ${loadOf(row)}`;
    return max === undefined || Number.isNaN(row.server_cpu_in_raw.median)
      ? []
      : [atMost(what, row.server_cpu_in_raw, max)];
  });
}

/** The best rate of Socket.IO under either load flat out is what ours has to beat. */
function rateBars(rows: readonly FanOutRow[]): Bar[] {
  const flatOut = rows.filter(
    ({ subscribers, load }) => subscribers === 1000 && load.startsWith("flat out"),
  );
  const best = (name: ContestantName): Figure | undefined =>
    flatOut
      .filter((row) => row.name === name)
      .map((row) => row.deliveries_per_second)
      .toSorted((a, b) => b.median - a.median)[0];
  const other = best("Socket.IO on Node");
  if (other === undefined) return [];
  return (["Slipstream, no history", OURS] as const).flatMap((name) => {
    const own = best(name);
    if (own === undefined) return [];
    const ratio = {
      ...figure([own.median / other.median], 2),
      min: figure([own.min / other.max], 2).min,
      max: figure([own.max / other.min], 2).max,
    };
    const what = `deliveries a second in Socket.IO's, flat out: ${name}, 1000 subscribers`;
    return [atLeast(what, ratio, RATE_IN_SOCKET_IO_MIN)];
  });
}

function stormBars(rows: readonly StormRow[]): Bar[] {
  return rows
    .filter(({ name }) => name === OURS)
    .map((row) =>
      atMost(
        `seconds until ${row.subscribers} have resumed ${row.replayed_each} missed messages each`,
        row.seconds,
        STORM_SECONDS_MAX,
      ),
    );
}

/** At the most connections that were opened. */
function idleBars(rows: readonly IdleRow[]): Bar[] {
  const last = rows.findLast(({ name }) => name === OURS);
  if (last === undefined || Number.isNaN(last.kb_each_above_raw.median)) return [];
  const what = `KB a connection above raw Bun's, at ${last.connections}`;
  return [atMost(what, last.kb_each_above_raw, KB_ABOVE_RAW_MAX)];
}

function matchBars(rows: readonly MatchRow[]): Bar[] {
  return rows.map((row) =>
    atMost(
      `ms from an acknowledged write to its match, p99: ${row.mode}, ${row.queries} standing queries`,
      row.from_acknowledged_p99_ms,
      MATCH_P99_MS_MAX,
    ),
  );
}
