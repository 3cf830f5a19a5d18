/** The process of a library: commands come by IPC, one at a time, and each has one answer. Started by library-contestant.ts. */
import { LatencyHistogram } from "../support/load-histogram.ts";
import type { RoundReport } from "../support/load-rounds.ts";
import { loadRows, searchOf, type Loading, type Round } from "./contestant.ts";
import { libraryPeers } from "./library-peers.ts";
import type { LibrarySession, Places } from "./peer.ts";
import { readQueries, type FilterName } from "./vectors.ts";

/** What the child is told: which system, where, and the vectors. */
export interface ChildOptions extends Places {
  name: string;
  cache: string;
  count: number;
}

export type Command =
  | { kind: "load" }
  | { kind: "open" }
  | { kind: "find"; filter: FilterName }
  | ({ kind: "round" } & Round);

/** Of the command that came before; `pid` is the process that holds the data, this one or another. */
export type ChildAnswer =
  | { kind: "loaded"; loading: Loading }
  | { kind: "opened"; pid: number }
  | { kind: "found"; rows: number[][] }
  | { kind: "measured"; report: RoundReport }
  | { kind: "failed"; reason: string };

/** Searches of a round that are not counted. */
const WARM_MS = 300;

async function find(
  session: LibrarySession,
  queries: readonly Float32Array[],
  filter: FilterName,
): Promise<number[][]> {
  const found: number[][] = [];
  for (const at of queries.keys()) found.push(await session.search(searchOf(queries, at, filter)));
  return found;
}

/** So many searches under way at once, each followed by the next, as a server in this process would have them. */
async function measure(
  session: LibrarySession,
  queries: readonly Float32Array[],
  { connections, filter, seconds }: Round,
): Promise<RoundReport> {
  const latencies = new LatencyHistogram();
  const from = performance.now() + WARM_MS;
  const to = from + seconds * 1000;
  let next = 0;
  const searchOn = async (): Promise<void> => {
    for (let start = performance.now(); start < to;) {
      const rows = await session.search(searchOf(queries, next++, filter));
      // A graph that is filtered after the search may find none of a few; its recall says so.
      if (rows.length === 0 && filter === "none") throw new Error("a search found nothing");
      const end = performance.now();
      if (start >= from && end <= to) latencies.add((end - start) * 1000);
      start = end;
    }
  };
  await Promise.all(Array.from({ length: connections }, searchOn));
  const [p50Us, p99Us] = [latencies.quantile(0.5), latencies.quantile(0.99)];
  return { perSecond: latencies.total / seconds, p50Us, p99Us };
}

async function answerTo(
  session: LibrarySession,
  command: Command,
  options: ChildOptions,
): Promise<ChildAnswer> {
  if (command.kind === "load") return { kind: "loaded", loading: await loadRows(session, options) };
  const queries = await queriesOf(options);
  if (command.kind === "find") {
    return { kind: "found", rows: await find(session, queries, command.filter) };
  }
  if (command.kind === "round") {
    return { kind: "measured", report: await measure(session, queries, command) };
  }
  const rows = await session.search(searchOf(queries, 0, "none"));
  if (rows.length === 0) throw new Error("the first search found nothing");
  return { kind: "opened", pid: session.pid ?? process.pid };
}

let readBefore: Promise<Float32Array[]> | undefined;

function queriesOf({ cache, count }: ChildOptions): Promise<Float32Array[]> {
  return (readBefore ??= readQueries(cache, count));
}

async function main(options: ChildOptions): Promise<void> {
  const peer = libraryPeers.find(({ name }) => name === options.name);
  if (peer === undefined) throw new Error(`no library is called ${options.name}`);
  const opening = peer.open(options);
  // A failure to open is the answer to the first command.
  opening.catch(() => {});
  process.on("message", (command: Command) => {
    void opening
      .then((session) => answerTo(session, command, options))
      .catch((error: unknown): ChildAnswer => ({ kind: "failed", reason: String(error) }))
      .then((answer) => process.send?.(answer));
  });
  process.on("disconnect", () => {
    void opening.then((session) => session[Symbol.asyncDispose]()).finally(() => process.exit(0));
  });
  await opening;
}

if (import.meta.main) await main(JSON.parse(Bun.argv[2] ?? "{}"));
