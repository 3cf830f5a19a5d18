import { INSTRUMENTS, type Instrument, type InstrumentKind } from "./instruments.ts";
import type { Point } from "./metric-series.ts";
import type { Family } from "./metrics.ts";

/** What `GET /metrics` says it is. */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const TYPES: Readonly<Record<InstrumentKind, string>> = {
  counter: "counter",
  up_down_counter: "gauge",
  gauge: "gauge",
  histogram: "histogram",
};

/** Prometheus' text exposition format, version 0.0.4. Every name has its HELP and TYPE, also one without a series yet. */
export function prometheusText(families: readonly Family[]): string {
  const lines: string[] = [];
  for (const { name, points } of families) {
    const instrument: Instrument = INSTRUMENTS[name];
    lines.push(`# HELP ${name} ${escapeHelp(instrument.help)}`);
    lines.push(`# TYPE ${name} ${TYPES[instrument.kind]}`);
    for (const point of points) addPoint(lines, { name, instrument, point });
  }
  return `${lines.join("\n")}\n`;
}

interface Shown {
  name: string;
  instrument: Instrument;
  point: Point;
}

function addPoint(lines: string[], { name, instrument, point }: Shown): void {
  const labels = labelText(instrument.labels, point.labels);
  if ("value" in point) {
    lines.push(`${name}${labels === "" ? "" : `{${labels}}`} ${numberText(point.value)}`);
    return;
  }
  const before = labels === "" ? "" : `${labels},`;
  let below = 0;
  for (const [at, count] of point.counts.entries()) {
    below += count;
    const bound = numberText(instrument.buckets?.[at] ?? Infinity);
    lines.push(`${name}_bucket{${before}le="${bound}"} ${below}`);
  }
  const braces = labels === "" ? "" : `{${labels}}`;
  lines.push(`${name}_sum${braces} ${numberText(point.sum)}`, `${name}_count${braces} ${below}`);
}

function labelText(names: readonly string[], values: readonly string[]): string {
  return names.map((name, at) => `${name}="${escapeLabel(values[at] ?? "")}"`).join(",");
}

/** Help may hold quotes as they are; a label's value may not. */
function escapeHelp(text: string): string {
  return text.replaceAll("\\", String.raw`\\`).replaceAll("\n", String.raw`\n`);
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', String.raw`\"`);
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}
