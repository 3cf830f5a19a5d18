import { readdirSync, readFileSync } from "node:fs";

/**
 * CPU time in seconds that all threads of a process have had, from the scheduler's own counts in ns. What a thread that
 * has ended had is not in it, so it is for differences over a while in which none ends.
 */
export function cpuSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  let ns = 0;
  for (const task of readdirSync(tasks)) ns += taskNs(`${tasks}/${task}/schedstat`);
  return ns / 1e9;
}

function taskNs(path: string): number {
  try {
    return Number(readFileSync(path, "utf8").split(" ")[0]);
  } catch {
    // It has ended since it was listed.
    return 0;
  }
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** CPU time in 100 ms that a server without work may have: its timers and its collector. */
const QUIET_SECONDS = 0.003;

/** Waits until a process does next to nothing, 100 ms twice in a row; 5 s at most. */
export async function settled(pid: number): Promise<void> {
  const deadline = performance.now() + 5000;
  for (let quiet = 0; quiet < 2 && performance.now() < deadline;) {
    const before = cpuSeconds(pid);
    await Bun.sleep(100);
    quiet = cpuSeconds(pid) - before < QUIET_SECONDS ? quiet + 1 : 0;
  }
}
