/** One system's figures over the vectors; medians over the rounds. */
export interface VectorRow {
  name: string;
  version: string;
  interface: string;
  parameters: string;
  c1_p50_ms: number;
  c1_p99_ms: number;
  c1_per_second: number;
  c16_per_second: number;
  c16_p50_ms: number;
  c16_p99_ms: number;
  recall10: number;
  percent1_recall10: number;
  percent1_p50_ms: number;
  percent10_recall10: number;
  percent10_p50_ms: number;
  acknowledged_per_second: number;
  indexed_per_second: number;
  memory_mb: number;
  disk_mb: number;
  cold_start_ms: number;
}

/** One way of going from a query's text to hits. */
export interface TextRow {
  name: string;
  interface: string;
  what: string;
  c1_p50_ms: number;
  c1_per_second: number;
  c16_per_second: number;
  c16_p50_ms: number;
  written_per_second: number;
}

/** What a run of a size gives; a part of `bench/results/peers.json`. */
export interface PeersResult {
  machine: Record<string, string | number>;
  count: number;
  dimensions: number;
  rounds: number;
  /** p50 of the load generator alone against a server that answers a constant: what HTTP costs on this machine. */
  http_c1_p50_ms: number;
  rows: VectorRow[];
  text: { passages: number; queries: number; weights: string; rows: TextRow[] } | null;
}

export const RESULTS = "bench/results/peers.json";
