/**
 * The tables of the comparison in the README, made from the last full result: `bun bench/peers/table.ts` prints them,
 * `--write` puts them between the markers of README.md, `--check` fails where these are out of step.
 */
import { RESULTS, type PeersResult, type TextRow, type VectorRow } from "./results.ts";

const MARKERS = /(<!-- peers: [^>]*-->)[\s\S]*?(<!-- \/peers -->)/;
const OPENING = "<!-- peers: written by `bun run gen` from bench/results/peers.json -->";

type Cell = string | number;

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const milliseconds = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
const filtered = (ms: number, recall: number): string =>
  `${milliseconds(ms)} (${recall.toFixed(2)})`;
const whole = (value: number): string => Math.round(value).toLocaleString("en");

/** The systems over vectors, a row each. */
export function vectorTable(rows: readonly VectorRow[]): string {
  const head = [
    "system",
    "called by",
    "one client, p50 ms",
    "16 clients, searches/s",
    "recall@10",
    "filter 1 %: p50 ms (recall)",
    "filter 10 %: p50 ms (recall)",
    "documents/s, indexed",
    "memory MB",
    "disk MB",
    "cold start ms",
  ];
  return table(
    head,
    rows.map((row) => [
      `${row.name} ${row.version}`,
      row.interface,
      milliseconds(row.c1_p50_ms),
      whole(row.c16_per_second),
      row.recall10.toFixed(3),
      filtered(row.percent1_p50_ms, row.percent1_recall10),
      filtered(row.percent10_p50_ms, row.percent10_recall10),
      whole(row.indexed_per_second),
      whole(row.memory_mb),
      whole(row.disk_mb),
      whole(row.cold_start_ms),
    ]),
  );
}

/** From a query's text to hits, a row for each way. */
export function textTable(rows: readonly TextRow[]): string {
  const head = [
    "system",
    "search",
    "one client, p50 ms",
    "16 clients, searches/s",
    "passages/s written",
  ];
  return table(
    head,
    rows.map((row) => [
      row.name,
      `${row.what}, ${row.interface}`,
      milliseconds(row.c1_p50_ms),
      whole(row.c16_per_second),
      whole(row.written_per_second),
    ]),
  );
}

/** Both tables with what must be known to read them. */
export function peersSection(result: PeersResult): string {
  const { machine, count, dimensions, rounds, rows, text, http_c1_p50_ms } = result;
  const lines = [
    `${whole(count)} vectors of ${dimensions} dimensions, ten nearest, on ${machine["cores"]} cores (${machine["cpu"]}); every graph with m 16, efConstruction 128 and ef 64. One system is searched at a time, medians of ${rounds} rounds (\`bun bench/peers/run.ts\`). "In process" has no HTTP in it, which costs ${milliseconds(http_c1_p50_ms)} ms a search of one client here.`,
    "",
    vectorTable(rows),
  ];
  if (text !== null) {
    lines.push(
      "",
      `From the text of a query to hits, ${whole(text.passages)} real passages and ${whole(text.queries)} real questions. Chroma embeds with ${text.weights}. Questions come again from round to round, and Slipstream remembers the vectors of recent texts: one that is new takes the model's few milliseconds more. A filter's matches are remembered too, until the next change.`,
      "",
      textTable(text.rows),
    );
  }
  return lines.join("\n");
}

/** A Markdown text with the comparison made anew between its markers; as it was where it has none. */
export async function withPeersSection(markdown: string): Promise<string> {
  const section = await sectionOfLast();
  return section === undefined ? markdown : markdown.replace(MARKERS, `$1\n\n${section}\n\n$2`);
}

async function sectionOfLast(): Promise<string | undefined> {
  const file = Bun.file(RESULTS);
  const parts: { full?: PeersResult } = (await file.exists()) ? await file.json() : {};
  return parts.full === undefined ? undefined : peersSection(parts.full);
}

if (import.meta.main) {
  const readme = await Bun.file("README.md").text();
  const made = await withPeersSection(readme);
  const inStep = made === readme;
  if (process.argv.includes("--check")) {
    if (!inStep) console.error("README.md is out of step with bench/results/peers.json");
    process.exitCode = inStep ? 0 : 1;
  } else if (process.argv.includes("--write")) await Bun.write("README.md", made);
  else {
    const section = (await sectionOfLast()) ?? `There is no full result in ${RESULTS} yet.`;
    console.log(`${OPENING}\n\n${section}\n\n<!-- /peers -->`);
  }
}
