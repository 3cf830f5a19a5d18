/** The process of the clients: a job comes by IPC, its answer goes back. Started by load-client.ts. */
import { Crowd } from "./crowd.ts";
import { FanOut } from "./fan-out.ts";
import type { ClientAnswer, ClientJob } from "./load-client.ts";
import { measureMatches } from "./match.ts";
import { storm } from "./storm.ts";
import { wires } from "./wire.ts";

interface Opened {
  crowd: Crowd;
  fanOut: FanOut | undefined;
}

const done = { kind: "done" } as const;
/** By the server's address. */
const opened = new Map<string, Opened>();

async function run(job: ClientJob): Promise<ClientAnswer> {
  switch (job.kind) {
    case "open":
      opened.set(job.url, { crowd: new Crowd(job.url, wires[job.wire]), fanOut: undefined });
      return done;
    case "join":
      await openedAt(job.url).crowd.join(job.role, job.count, job);
      return done;
    case "load": {
      const one = openedAt(job.url);
      one.fanOut ??= new FanOut(one.crowd);
      return { kind: "load", report: await one.fanOut.run(job.load, job) };
    }
    case "storm":
      return { kind: "storm", report: await storm(openedAt(job.url).crowd, job) };
    case "matches":
      return { kind: "matches", report: await measureMatches(job.url, job) };
    case "close":
      closeAll();
      return done;
    default:
      throw new Error("no such job");
  }
}

function openedAt(url: string): Opened {
  const found = opened.get(url);
  if (found === undefined) throw new Error(`${url} is not open`);
  return found;
}

function closeAll(): void {
  for (const { crowd } of opened.values()) {
    for (const role of ["subscriber", "publisher"] as const) crowd.drop(role);
  }
  opened.clear();
  // What these leave behind must not be collected while the next ones are measured.
  Bun.gc(true);
}

process.on("message", (job: ClientJob) => {
  void run(job).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ kind: "failed", reason: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
