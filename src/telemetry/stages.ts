import { metrics } from "./metrics.ts";
import { traced } from "./traces.ts";

/** Parts of a search, as they are called in metrics and in traces. */
export type SearchStage = "filter" | "embed" | "vectors" | "keyword" | "fuse" | "store";

const durations = metrics.histogram("search_stage_duration_seconds");

const SERIES = {
  filter: durations.of({ stage: "filter" }),
  embed: durations.of({ stage: "embed" }),
  vectors: durations.of({ stage: "vectors" }),
  keyword: durations.of({ stage: "keyword" }),
  fuse: durations.of({ stage: "fuse" }),
  store: durations.of({ stage: "store" }),
} as const;

const SPANS = {
  filter: "search.filter",
  embed: "search.embed",
  vectors: "search.vectors",
  keyword: "search.keyword",
  fuse: "search.fuse",
  store: "search.store",
} as const;

/** Does a part of a search, and keeps how long it took; in a span of its own where traces are detailed. */
export async function stage<T>(name: SearchStage, work: () => T | Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await traced(SPANS[name], work);
  } finally {
    SERIES[name].record((performance.now() - start) / 1000);
  }
}
