/** What the rounds gave, as rows of the result. */
import { rounded } from "../support/load-results.ts";
import type { Contestant } from "./contestants.ts";
import type { FanOutReport, Load } from "./fan-out.ts";
import type { MatchReport } from "./match.ts";
import { loads, type IdleReport, type Reports } from "./parts.ts";
import {
  figure,
  middle,
  type FanOutRow,
  type IdleRow,
  type MatchRow,
  type StormRow,
} from "./results.ts";
import type { StormReport } from "./storm.ts";

const KB = 1024;
const MB = 1024 * 1024;

const nameOf = (load: Load): string =>
  load.kind === "paced" ? `${load.perSecond}/s` : `flat out, ${load.inFlight} in flight`;

/** Raw Bun's reports; those of the same round are what others are compared with. */
function rawOf<T>(reports: Reports<T>): readonly T[] {
  const raw = [...reports].find(([{ name }]) => name === "raw Bun");
  return raw?.[1] ?? [];
}

/** A row for each contestant and each load of this many subscribers. */
export function fanOutRows(subscribers: number, reports: Reports<FanOutReport[]>): FanOutRow[] {
  const own = loads.filter((one) => one.subscribers === subscribers);
  return own.flatMap(({ load }, at) => {
    const ofLoad = (rounds: readonly FanOutReport[][]): FanOutReport[] =>
      rounds.flatMap((round) => round[at] ?? []);
    const raw = ofLoad(rawOf(reports));
    return [...reports].map(([{ name }, rounds]) => {
      const each = ofLoad(rounds);
      const inRaw = each.map(
        (one, round) => one.serverCpuUs / (raw[round]?.serverCpuUs ?? Number.NaN),
      );
      return {
        name,
        subscribers,
        load: nameOf(load),
        deliveries_per_second: figure(
          each.map((one) => one.perSecond),
          0,
        ),
        p50_ms: middle(each, (one) => one.p50Ms),
        p99_ms: middle(each, (one) => one.p99Ms),
        server_cpu_us: figure(each.map((one) => one.serverCpuUs)),
        server_cpu_in_raw: figure(inRaw),
        server_cores: middle(each, (one) => one.serverCores),
        client_cores: middle(each, (one) => one.clientCores),
        client_ceiling: middle(each, (one) => 1e6 / one.clientCpuUs, 0),
        bytes_per_delivery: middle(each, (one) => one.bytesPerDelivery, 0),
      };
    });
  });
}

export function stormRows(subscribers: number, reports: Reports<StormReport>): StormRow[] {
  return [...reports].map(([{ name }, rounds]) => ({
    name,
    subscribers,
    seconds: figure(rounds.map((one) => one.seconds)),
    p50_ms: middle(rounds, (one) => one.p50Ms, 1),
    p99_ms: middle(rounds, (one) => one.p99Ms, 1),
    server_cpu_s: middle(rounds, (one) => one.serverCpuSeconds, 3),
    replayed_each: middle(rounds, (one) => one.replayed, 0),
  }));
}

/** A row for each contestant and each number of connections. */
export function idleRows(steps: readonly number[], reports: Reports<IdleReport>): IdleRow[] {
  const raw = rawOf(reports);
  return [...reports].flatMap(([{ name }, rounds]) =>
    steps.map((connections, step) => {
      const kbEach = (report: IdleReport | undefined): number =>
        ((report?.steps[step] ?? Number.NaN) - (report?.base ?? 0)) / KB / connections;
      const further = (report: IdleReport): number =>
        kbBetween(report, { steps, from: 0, to: step });
      return {
        name,
        base_mb: middle(rounds, ({ base }) => base / MB, 1),
        connections,
        rss_mb: middle(rounds, (one) => (one.steps[step] ?? Number.NaN) / MB, 1),
        kb_each: figure(rounds.map(kbEach), 2),
        kb_each_above_raw: figure(
          rounds.map((one, round) => kbEach(one) - kbEach(raw[round])),
          2,
        ),
        kb_each_further: middle(rounds, further),
      };
    }),
  );
}

/** Memory of a connection that came between two steps, KB. */
function kbBetween(
  { steps: bytes }: IdleReport,
  { steps, from, to }: { steps: readonly number[]; from: number; to: number },
): number {
  const count = (steps[to] ?? 0) - (steps[from] ?? 0);
  return count === 0 ? 0 : ((bytes[to] ?? 0) - (bytes[from] ?? 0)) / KB / count;
}

export function matchRows(
  queries: number,
  reports: ReadonlyMap<Contestant, readonly MatchReport[]>,
): MatchRow[] {
  const rounds = [...reports.values()].flat();
  return (["semantic", "keyword"] as const).map((mode) => {
    const each = rounds.map((round) => round[mode]);
    return {
      mode,
      queries,
      matches: rounded(
        each.reduce((sum, { matches }) => sum + matches, 0),
        0,
      ),
      from_acknowledged_p50_ms: figure(
        each.map((one) => one.fromAcknowledged.p50Ms),
        2,
      ),
      from_acknowledged_p99_ms: figure(
        each.map((one) => one.fromAcknowledged.p99Ms),
        2,
      ),
      from_sent_p50_ms: figure(
        each.map((one) => one.fromSent.p50Ms),
        2,
      ),
      from_sent_p99_ms: figure(
        each.map((one) => one.fromSent.p99Ms),
        2,
      ),
    };
  });
}
