/** A sample of a scrape. */
export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** A metric of a scrape with its samples, in order. */
export interface ScrapedFamily {
  name: string;
  help: string;
  type: string;
  samples: Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{(.*)\})? (\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ["_bucket", "_sum", "_count"],
};

/**
 * Reads Prometheus' text exposition format 0.0.4 and is stricter than a server: HELP and TYPE once before the samples of
 * each metric, no sample twice, histograms with ascending bounds, growing counts, `+Inf` equal to `_count`.
 * @throws Error that names the line
 */
export function parseScrape(text: string): Map<string, ScrapedFamily> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, ScrapedFamily>();
  let help: { name: string; text: string } | undefined;
  let open: ScrapedFamily | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (/\\(?![\\n])/.test(rest)) throw new Error(`bad escape: ${line}`);
      help = { name, text: rest };
    } else if (kind === "TYPE") {
      if (help?.name !== name) throw new Error(`no HELP before: ${line}`);
      if (!/^(counter|gauge|histogram|summary|untyped)$/.test(rest)) throw new Error(line);
      if (families.has(name)) throw new Error(`twice: ${line}`);
      open = { name, help: help.text, type: rest, samples: [] };
      families.set(name, open);
    } else {
      addSample(open, line);
    }
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

function addSample(family: ScrapedFamily | undefined, line: string): void {
  const [, name = "", labelText, value = ""] = SAMPLE.exec(line) ?? [];
  if (family === undefined || name === "") throw new Error(`no sample: ${line}`);
  const names = (SUFFIXES[family.type] ?? [""]).map((suffix) => family.name + suffix);
  if (!names.includes(name)) throw new Error(`not of ${family.name}: ${line}`);
  if (!NUMBER.test(value)) throw new Error(`no number: ${line}`);
  family.samples.push({ name, labels: readLabels(labelText, line), value: toNumber(value) });
}

function readLabels(text: string | undefined, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  if (text === undefined) return labels;
  if (text === "") throw new Error(`empty braces: ${line}`);
  for (let at = 0; at < text.length;) {
    LABEL.lastIndex = at;
    const [whole, name = "", value = "", comma] = LABEL.exec(text) ?? [];
    if (whole === undefined) throw new Error(`bad label: ${line}`);
    at += whole.length;
    if (comma === "," && at === text.length) throw new Error(`a comma too many: ${line}`);
    if (name in labels) throw new Error(`the same label twice: ${line}`);
    labels[name] = value.replace(/\\(.)/g, (_, escaped: string) =>
      escaped === "n" ? "\n" : escaped,
    );
  }
  return labels;
}

function toNumber(text: string): number {
  return Number(text.replace(/Inf$/, "Infinity"));
}

function checkFamily({ name, type, samples }: ScrapedFamily): void {
  const seen = new Set<string>();
  for (const sample of samples) {
    const key = keyOf(sample, []);
    if (seen.has(key)) throw new Error(`twice: ${key}`);
    seen.add(key);
    if (type === "counter" && !(sample.value >= 0)) throw new Error(`${key} is below zero`);
  }
  if (type !== "histogram") return;
  const groups = Map.groupBy(samples, (sample) => keyOf({ ...sample, name }, ["le"]));
  for (const [key, group] of groups) checkHistogram(key, name, group);
}

function checkHistogram(key: string, name: string, samples: readonly Sample[]): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const count = samples.filter((sample) => sample.name === `${name}_count`);
  const sum = samples.filter((sample) => sample.name === `${name}_sum`);
  if (count.length !== 1 || sum.length !== 1) throw new Error(`${key} has no sum or count`);
  let bound = -Infinity;
  let below = 0;
  for (const { labels, value } of buckets) {
    const next = toNumber(labels["le"] ?? "");
    if (!(next > bound)) throw new Error(`${key}: bounds do not ascend`);
    if (value < below) throw new Error(`${key}: counts do not grow`);
    [bound, below] = [next, value];
  }
  if (bound !== Infinity || below !== count[0]?.value)
    throw new Error(`${key}: the last bucket is not the count`);
}

function keyOf({ name, labels }: Sample, without: readonly string[]): string {
  const shown = Object.entries(labels).filter(([label]) => !without.includes(label));
  return `${name}${JSON.stringify(shown.toSorted(([a], [b]) => (a < b ? -1 : 1)))}`;
}
