/** The four parts of the bench: each takes its contestants in turn, with fresh servers in every round. */
import type { Contestant, LiveServer } from "./contestants.ts";
import type { FanOutReport, Load } from "./fan-out.ts";
import type { LoadClient } from "./load-client.ts";
import type { MatchReport } from "./match.ts";
import { residentBytes, settled } from "../support/process-facts.ts";
import type { StormReport } from "./storm.ts";
import type { WireName } from "./wire.ts";

/** Subscribers whose deliveries are looked at for their times. */
const SAMPLED = 50;
const WARM_UP_SECONDS = 0.5;

export interface LoadOf {
  subscribers: number;
  load: Load;
}

export const loads: readonly LoadOf[] = [
  { subscribers: 1000, load: { kind: "paced", perSecond: 50 } },
  { subscribers: 1000, load: { kind: "flat-out", inFlight: 1 } },
  { subscribers: 1000, load: { kind: "flat-out", inFlight: 16 } },
  { subscribers: 5000, load: { kind: "paced", perSecond: 10 } },
  { subscribers: 5000, load: { kind: "flat-out", inFlight: 8 } },
];

/** The reports of a contestant's rounds, in the order of the rounds. */
export type Reports<T> = Map<Contestant, T[]>;

interface Rounds {
  client: LoadClient;
  contestants: readonly Contestant[];
  rounds: number;
}

/** Runs something for each of them once a round. */
async function inTurns<T>(
  { contestants, rounds }: Rounds,
  run: (contestant: Contestant) => Promise<T>,
): Promise<Reports<T>> {
  const reports: Reports<T> = new Map(contestants.map((contestant) => [contestant, []]));
  for (let round = 0; round < rounds; round++) {
    for (const one of inOrder(contestants, round)) {
      reports.get(one)?.push(await named(one, run(one)));
    }
  }
  return reports;
}

/** Says with whom something went wrong. */
async function named<T>({ name }: Contestant, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new Error(name, { cause });
  }
}

/**
 * Fan-out to some number of subscribers under each of its loads. All servers of a round stand side by side and take turns
 * in short blocks, so that what else the machine does meets all alike. A report is of one block, in the order of the loads.
 */
export async function fanOutRounds(
  options: Rounds & { subscribers: number; blocks: number; seconds: number },
): Promise<Reports<FanOutReport[]>> {
  const { client, contestants, rounds, blocks, seconds } = options;
  const reports: Reports<FanOutReport[]> = new Map(contestants.map((one) => [one, []]));
  for (let round = 0; round < rounds; round++) {
    await using stack = new AsyncDisposableStack();
    const servers = new Map<Contestant, LiveServer>();
    for (const one of contestants) {
      const server = stack.use(await one.start());
      servers.set(one, server);
      const { subscribers } = options;
      await named(one, warmUp(client, { server, wire: one.wire, subscribers }));
    }
    for (let block = 0; block < blocks; block++) {
      for (const [one, server] of inOrder([...servers], block)) {
        const report: FanOutReport[] = [];
        for (const load of loadsOf(options.subscribers)) {
          report.push(await named(one, client.load(server, { load, seconds })));
        }
        reports.get(one)?.push(report);
      }
    }
    await client.close();
  }
  return reports;
}

const loadsOf = (subscribers: number): Load[] =>
  loads.filter((one) => one.subscribers === subscribers).map(({ load }) => load);

async function warmUp(
  client: LoadClient,
  { server, wire, subscribers }: { server: LiveServer; wire: WireName; subscribers: number },
): Promise<void> {
  await client.open({ url: server.url, wire }, { subscribers, sampleEvery: subscribers / SAMPLED });
  for (const load of loadsOf(subscribers)) {
    await client.load(server, { load, seconds: WARM_UP_SECONDS });
  }
  await settled(server.pid);
}

/** Every second time the other way round, so that none is always first. */
const inOrder = <T>(all: readonly T[], time: number): readonly T[] =>
  time % 2 === 0 ? all : all.toReversed();

/** All subscribers cut at once and back at once. */
export function stormRounds(
  options: Rounds & { subscribers: number; missed: number },
): Promise<Reports<StormReport>> {
  const { client, subscribers, missed } = options;
  return inTurns(options, async (contestant) => {
    await using server = await contestant.start();
    const { wire, resumes } = contestant;
    await client.open({ url: server.url, wire }, { subscribers });
    const report = await client.storm(server, { missed, resumes });
    await client.close();
    return report;
  });
}

/** Memory of a server, without connections and at each of the steps, bytes. */
export interface IdleReport {
  base: number;
  steps: number[];
}

/** Memory with more and more connections that do nothing, each in the room. */
export function idleRounds(
  options: Rounds & { steps: readonly number[] },
): Promise<Reports<IdleReport>> {
  const { client, steps } = options;
  return inTurns(options, async (contestant) => {
    await using server = await contestant.start();
    const { url, pid } = server;
    await settled(pid);
    const report: IdleReport = { base: residentBytes(pid), steps: [] };
    await client.open({ url, wire: contestant.wire }, { subscribers: 0 });
    let open = 0;
    for (const step of steps) {
      await client.join(url, step - open);
      open = step;
      await settled(pid);
      report.steps.push(residentBytes(pid));
    }
    await client.close();
    return report;
  });
}

/** From a write to the matches of standing queries. */
export function matchRounds(
  options: Rounds & { queries: number; documents: number },
): Promise<Reports<MatchReport>> {
  const { client, queries, documents } = options;
  return inTurns(options, async (contestant) => {
    await using server = await contestant.start();
    return await client.matches(server.url, { queries, documents });
  });
}
