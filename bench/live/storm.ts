import type { Crowd } from "./crowd.ts";
import { payloadAt } from "./payload.ts";
import { cpuSeconds, settled } from "../support/process-facts.ts";
import { LatencyHistogram } from "../support/load-histogram.ts";

/** Publications before the storm, so that there is something to go on from. */
const BEFORE = 10;
const WAIT_MS_MAX = 30_000;

/** What a storm gave. */
export interface StormReport {
  /** From the first connection's start until all are in the room and have what they missed. */
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  serverCpuSeconds: number;
  /** Missed publications that each subscriber was given. */
  replayed: number;
}

/**
 * Cuts all subscribers at once, publishes while they are away, and lets all of them come back at once. They wait for
 * nothing and are not spread, as a client of ours would be. Where the protocol can, they resume.
 */
export async function storm(
  crowd: Crowd,
  options: { serverPid: number; missed: number; resumes: boolean },
): Promise<StormReport> {
  const { serverPid, missed, resumes } = options;
  const count = crowd.subscribers;
  publish(crowd, BEFORE);
  await until(crowd, () => crowd.deliveries === BEFORE * count);
  if (resumes) await until(crowd, () => crowd.published === BEFORE);
  const since = { ...crowd.position };
  crowd.drop("subscriber");
  await settled(serverPid);
  publish(crowd, missed);
  if (resumes) await until(crowd, () => crowd.published === BEFORE + missed);
  await settled(serverPid);

  const [cpu, deliveries] = [cpuSeconds(serverPid), crowd.deliveries];
  const takenMs = await crowd.join("subscriber", count, {
    atOnce: count,
    ...(resumes ? { since } : {}),
  });
  const replayed = (crowd.deliveries - deliveries) / count;
  if (resumes && replayed < missed) throw new Error(`${replayed} of ${missed} were replayed`);
  const latencies = new LatencyHistogram();
  for (const ms of takenMs) latencies.add(ms * 1000);
  return {
    seconds: Math.max(...takenMs) / 1000,
    p50Ms: latencies.quantile(0.5) / 1000,
    p99Ms: latencies.quantile(0.99) / 1000,
    serverCpuSeconds: cpuSeconds(serverPid) - cpu,
    replayed,
  };
}

function publish(crowd: Crowd, count: number): void {
  crowd.publish(Array.from({ length: count }, () => payloadAt(Bun.nanoseconds() / 1000)));
}

async function until(crowd: Crowd, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!isSo()) {
    if (crowd.failure !== undefined) throw crowd.failure;
    if (performance.now() > deadline) {
      throw new Error(
        `${crowd.deliveries} deliveries and ${crowd.published} acknowledgements, and no more`,
      );
    }
    await Bun.sleep(1);
  }
}
