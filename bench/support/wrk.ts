/**
 * Load from wrk, which is written in C and takes a quarter of the processor time that our own generator takes for a request:
 * on two cores that is a sixth more requests a second of a server that uses both.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadReport } from "./load.ts";

/** Reads the bodies, sends them in turn, and says at the end what came of it. */
const SCRIPT = `
local requests, next_one = {}, 0
init = function()
  local headers = { ["content-type"] = "application/json" }
  for body in io.lines(os.getenv("BODIES")) do
    requests[#requests + 1] = wrk.format("POST", os.getenv("TARGET"), headers, body)
  end
end
request = function()
  next_one = next_one + 1
  return requests[(next_one - 1) % #requests + 1]
end
done = function(summary, latency)
  local e = summary.errors
  local errors = e.status + e.connect + e.read + e.write + e.timeout
  local shown = { summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors }
  io.write("REPORT " .. table.concat(shown, " ") .. "\\n")
end
`;

/** Whether wrk is on this machine. */
export function hasWrk(): boolean {
  return Bun.which("wrk") !== null;
}

/** Bodies that are sent in turn, one a line of a file that wrk reads; disposing removes it. */
export class WrkBodies implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "slipstream-wrk-"));
  readonly path = join(this.#folder, "bodies");
  readonly script = join(this.#folder, "script.lua");

  constructor(bodies: readonly string[]) {
    writeFileSync(this.path, bodies.join("\n"));
    writeFileSync(this.script, SCRIPT);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** @throws Error where a request failed or wrk did */
export async function runWrk(
  bodies: WrkBodies,
  { url, connections, seconds }: { url: string; connections: number; seconds: number },
): Promise<LoadReport> {
  const { origin, pathname } = new URL(url);
  const load = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", bodies.script];
  const child = Bun.spawn(["wrk", ...load, origin], {
    env: { ...process.env, BODIES: bodies.path, TARGET: pathname },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const out = await child.stdout.text();
  await child.exited;
  const numbers = /^REPORT (.*)$/m.exec(out)?.[1]?.split(" ").map(Number);
  const [requests = 0, durationUs = 0, p50Us = 0, p99Us = 0, errors = 0] = numbers ?? [];
  if (requests === 0 || errors > 0) throw new Error(`wrk at ${url}: ${out}`);
  const perSecond = (requests / durationUs) * 1e6;
  const generatorCpuUs = Number(child.resourceUsage()?.cpuTime.total ?? 0) / requests;
  const counted = { requests, seconds: durationUs / 1e6, perSecond, p50Us, p99Us };
  return { ...counted, generatorCpuUs, errors, firstError: "" };
}
