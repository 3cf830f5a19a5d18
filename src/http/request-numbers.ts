import type { Count, Distribution } from "../telemetry/metric-series.ts";
import { metrics } from "../telemetry/metrics.ts";

/** Methods that are counted by their names; a client can make any up. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const OTHER_METHOD = "OTHER";

interface Series {
  count: Count;
  duration: Distribution;
}

const requests = metrics.counter("http_server_requests_total");
const durations = metrics.histogram("http_server_duration_milliseconds");
const active = metrics.counter("http_server_active_requests").of({});

/** Series that were used, by route, method and status: looked up without making text of them for each request. */
const used = new Map<string, Map<string, Map<number, Series>>>();

/** Counts a request that has been answered. */
export function countRequest(asked: { route: string; method: string }, status: number, ms: number) {
  const { count, duration } = seriesOf(asked, status);
  count.add(1);
  duration.record(ms);
}

/** Counts a request that runs, or, by -1, one that does not any more. */
export function countActive(change: 1 | -1): void {
  active.add(change);
}

function seriesOf({ route, method }: { route: string; method: string }, status: number): Series {
  const byMethod = used.get(route) ?? new Map<string, Map<number, Series>>();
  used.set(route, byMethod);
  const shown = METHODS.has(method) ? method : OTHER_METHOD;
  const byStatus = byMethod.get(shown) ?? new Map<number, Series>();
  byMethod.set(shown, byStatus);
  const known = byStatus.get(status);
  if (known !== undefined) return known;
  const labels = { method: shown, route, status_code: String(status) };
  const made = { count: requests.of(labels), duration: durations.of(labels) };
  byStatus.set(status, made);
  return made;
}
