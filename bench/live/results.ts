import { rounded } from "../support/load-results.ts";
import { median } from "../support/median.ts";
import type { ContestantName } from "./contestants.ts";

/** A figure of several rounds: its median, and the lowest and highest as its noise. */
export interface Figure {
  median: number;
  min: number;
  max: number;
}

/** One server under one load; medians over the rounds. */
export interface FanOutRow {
  name: ContestantName;
  subscribers: number;
  load: string;
  deliveries_per_second: Figure;
  p50_ms: number;
  p99_ms: number;
  /** CPU time of the server for one delivery, µs. */
  server_cpu_us: Figure;
  /** The same in raw Bun's of the same round. */
  server_cpu_in_raw: Figure;
  server_cores: number;
  /** Near to 1, the clients are what is measured. */
  client_cores: number;
  /** Deliveries a second that one core of clients could take as they came here. */
  client_ceiling: number;
  bytes_per_delivery: number;
}

export interface StormRow {
  name: ContestantName;
  subscribers: number;
  seconds: Figure;
  p50_ms: number;
  p99_ms: number;
  server_cpu_s: number;
  replayed_each: number;
}

export interface IdleRow {
  name: ContestantName;
  base_mb: number;
  connections: number;
  rss_mb: number;
  /** Memory above the server without connections, divided among them, KB. */
  kb_each: Figure;
  /** The same above raw Bun's of the same round. */
  kb_each_above_raw: Figure;
  /** What each one beyond the first step took: without what a server takes once. 0 at the first step. */
  kb_each_further: number;
}

export interface MatchRow {
  mode: string;
  queries: number;
  matches: number;
  from_acknowledged_p50_ms: Figure;
  from_acknowledged_p99_ms: Figure;
  from_sent_p50_ms: Figure;
  from_sent_p99_ms: Figure;
}

/** Something that must hold. */
export interface Bar {
  what: string;
  value: Figure;
  bar: string;
  held: boolean;
}

/** What a run gives; a part of `bench/results/live.json`. */
export interface LiveResult {
  machine: Record<string, string | number>;
  versions: Record<string, string>;
  pinned: boolean;
  rounds: number;
  fan_out: FanOutRow[];
  storm: StormRow[];
  idle: IdleRow[];
  match: MatchRow[];
  bars: Bar[];
}

/** Median and noise of what the rounds gave. */
export function figure(values: readonly number[], digits = 3): Figure {
  return {
    median: rounded(median(values), digits),
    min: rounded(Math.min(...values), digits),
    max: rounded(Math.max(...values), digits),
  };
}

/** The middle of one number of each report. */
export function middle<T>(reports: readonly T[], of: (report: T) => number, digits = 2): number {
  return rounded(median(reports.map(of)), digits);
}
