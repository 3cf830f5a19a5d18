/**
 * Load of POST requests from wrk where it is installed, and else from our own generator. With 20,000 different bodies both
 * drive a server as fast, for 23 to 30 us of processor time a request; with 36,000 wrk, which has no garbage collector, gets
 * 1.2 times as many writes a second out of it on two cores.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadGenerator, LoadReport } from "./load.ts";
import { textRequestBytes } from "./load-answer.ts";

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

/** JSON bodies that are sent in turn. */
export interface PostLoad extends Disposable {
  /** Sends them for some seconds to an address. @throws Error where a request fails */
  run(url: string, options: { connections: number; seconds: number }): Promise<LoadReport>;
}

/** Who makes such load on this machine. */
export const postLoader = Bun.which("wrk") === null ? "own generator" : "wrk";

/** Before it is counted, where that can be told. */
const WARM_UP_SECONDS = 0.3;

/** `expect`: text that every answer has; wrk looks at its status alone. */
export function postLoad(
  bodies: readonly string[],
  { generator, expect }: { generator: LoadGenerator; expect: string },
): PostLoad {
  return postLoader === "wrk" ? new WrkLoad(bodies) : ownLoad(bodies, { generator, expect });
}

function ownLoad(
  bodies: readonly string[],
  { generator, expect }: { generator: LoadGenerator; expect: string },
): PostLoad {
  return {
    run(url, options) {
      const requests = bodies.map((body) => textRequestBytes(url, body));
      const job = { url, requests, expect, warmUpSeconds: WARM_UP_SECONDS };
      return generator.run({ ...job, ...options });
    },
    [Symbol.dispose]: () => {},
  };
}

class WrkLoad implements PostLoad {
  readonly #folder = mkdtempSync(join(tmpdir(), "slipstream-wrk-"));
  readonly #bodies = join(this.#folder, "bodies");
  readonly #script = join(this.#folder, "script.lua");

  constructor(bodies: readonly string[]) {
    writeFileSync(this.#bodies, bodies.join("\n"));
    writeFileSync(this.#script, SCRIPT);
  }

  async run(
    url: string,
    { connections, seconds }: { connections: number; seconds: number },
  ): Promise<LoadReport> {
    const { origin, pathname } = new URL(url);
    const load = ["-t1", `-c${connections}`, `-d${Math.ceil(seconds)}s`, "-s", this.#script];
    const child = Bun.spawn(["wrk", ...load, origin], {
      env: { ...process.env, BODIES: this.#bodies, TARGET: pathname },
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

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}
