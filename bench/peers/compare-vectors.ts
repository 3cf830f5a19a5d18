import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { LoadGenerator } from "../support/load.ts";
import { rounded } from "../support/load-results.ts";
import { mediansOf, takeTurns, turn, type Turn } from "../support/load-rounds.ts";
import { median } from "../support/median.ts";
import { chromaPeer } from "./chroma.ts";
import type { Contestant, Loading } from "./contestant.ts";
import { HttpContestant } from "./http-contestant.ts";
import { LibraryContestant } from "./library-contestant.ts";
import { libraryPeers } from "./library-peers.ts";
import type { Peer } from "./peer.ts";
import type { VectorRow } from "./results.ts";
import { slipstreamPeer } from "./slipstream.ts";
import { makeVectorSet, recallOf, type FilterName, type VectorSet } from "./vectors.ts";

/** Starts of which the median is the cold start; files are in the page cache. */
const STARTS = 3;
const FILTERS = ["none", "percent1", "percent10"] as const satisfies readonly FilterName[];

interface Options {
  generator: LoadGenerator;
  install: string;
  cache: string;
  /** Where everything that is stored goes. */
  folder: string;
  binary: string | undefined;
  /** Names of those who take part; all where it is empty. */
  only: readonly string[];
  count: number;
  rounds: number;
  seconds: number;
}

/** What is known of a contestant before the rounds. */
interface Prepared {
  peer: Peer;
  version: string;
  contestant: Contestant;
  loading: Loading;
  coldStartMs: number;
  recalls: Record<FilterName, number>;
  turns: Record<"c1" | "c16" | "percent1" | "percent10", Turn>;
}

/**
 * Runs the same work through every system. They are loaded one after the other, then all are open and only one is
 * searched at a time, in turns.
 */
export async function compareVectors(options: Options): Promise<VectorRow[]> {
  const set = await makeVectorSet(options.cache, options.count);
  await using stack = new AsyncDisposableStack();
  const prepared: Prepared[] = [];
  for (const peer of [slipstreamPeer(options.binary), chromaPeer, ...libraryPeers]) {
    if (options.only.length > 0 && !options.only.includes(peer.name)) continue;
    const contestant = stack.use(contestantOf(peer, options));
    prepared.push(await prepare(peer, contestant, { set, options }));
  }
  const turnsOf = (one: Prepared): Turn[] => Object.values(one.turns);
  await takeTurns(prepared.flatMap(turnsOf), options.rounds);
  return prepared.map((one) => rowOf(one, options.count));
}

function contestantOf(peer: Peer, options: Options): Contestant {
  const folder = join(options.folder, peer.name);
  mkdirSync(folder, { recursive: true });
  const places = { ...options, folder };
  return peer.kind === "http"
    ? new HttpContestant(peer, places)
    : new LibraryContestant(peer, places);
}

async function prepare(
  peer: Peer,
  contestant: Contestant,
  { set, options }: { set: VectorSet; options: Options },
): Promise<Prepared> {
  const version = await peer.version(options.install);
  const loading = await contestant.load();
  const starts: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    await contestant.close();
    starts.push(await contestant.open());
  }
  const recalls = { none: 0, percent1: 0, percent10: 0 };
  for (const filter of FILTERS) {
    recalls[filter] = recallOf(await contestant.find(filter), set.truth[filter]);
  }
  const { seconds } = options;
  const searching = (connections: number, filter: FilterName): Turn =>
    turn(() => contestant.round({ connections, filter, seconds }));
  const turns = {
    c1: searching(1, "none"),
    c16: searching(16, "none"),
    percent1: searching(1, "percent1"),
    percent10: searching(1, "percent10"),
  };
  console.log(`${peer.name} ${version}: loaded, recall@10 ${recalls.none.toFixed(4)}`);
  return { peer, version, contestant, loading, coldStartMs: median(starts), recalls, turns };
}

function rowOf({ peer, version, contestant, loading, ...one }: Prepared, count: number): VectorRow {
  const [c1, c16] = [mediansOf(one.turns.c1.reports), mediansOf(one.turns.c16.reports)];
  const filteredMs = (name: "percent1" | "percent10"): number =>
    rounded(mediansOf(one.turns[name].reports).p50_us / 1000, 3);
  return {
    name: peer.name,
    version,
    interface: peer.interface,
    parameters: peer.parameters,
    c1_p50_ms: rounded(c1.p50_us / 1000, 3),
    c1_p99_ms: rounded(c1.p99_us / 1000, 3),
    c1_per_second: c1.per_second,
    c16_per_second: c16.per_second,
    c16_p50_ms: rounded(c16.p50_us / 1000, 3),
    c16_p99_ms: rounded(c16.p99_us / 1000, 3),
    recall10: rounded(one.recalls.none, 4),
    percent1_recall10: rounded(one.recalls.percent1, 4),
    percent1_p50_ms: filteredMs("percent1"),
    percent10_recall10: rounded(one.recalls.percent10, 4),
    percent10_p50_ms: filteredMs("percent10"),
    acknowledged_per_second: rounded((count / loading.acknowledgedMs) * 1000, 0),
    indexed_per_second: rounded((count / loading.indexedMs) * 1000, 0),
    memory_mb: rounded(contestant.memoryBytes() / 1e6, 0),
    disk_mb: rounded(contestant.diskBytes() / 1e6, 0),
    cold_start_ms: rounded(one.coldStartMs, 0),
  };
}
