import { openServerLogs } from "../boot/logs.ts";
import { serve, type Served } from "../boot/serve.ts";
import { parseConfig } from "../config.ts";
import { getLogger } from "../telemetry/logs.ts";
import { say } from "./output.ts";

const log = getLogger("process");

/** Runs the server until it is told to stop. Resolves to 0 when every request was finished, else to 1. */
export async function serveCommand({ timing = false }: { timing?: boolean }): Promise<number> {
  const config = parseConfig(process.env);
  await using _logs = await openServerLogs(config);
  const stopped = stopSignal();
  const served = await serve(config);
  if (process.stderr.isTTY)
    say(`Slipstream listens on ${served.url} (API: ${served.url}/api/docs). Ctrl-C stops it.`);
  if (timing) say(startTable(served));
  log.info("process.signal", { signal: await stopped });
  return (await served.stop()) ? 0 : 1;
}

/** The exit codes of a process that a signal has ended: 128 and the signal's number. */
const SIGNAL_EXITS = { SIGTERM: 143, SIGINT: 130 } as const;

/** The first signal to stop; a second one ends the process at once. */
function stopSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let signals = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (++signals > 1) process.exit(SIGNAL_EXITS[signal]);
      resolve(signal);
    });
  }
  return promise;
}

/** What a start took its time for, a line a step; steps of different processes run beside each other. */
function startTable({ steps, engineSteps }: Pick<Served, "steps" | "engineSteps">): string {
  const lines = [["process", "step", "from ms", "took ms"]];
  const engines = engineSteps.map((own, number) => [`engine ${number}`, own] as const);
  for (const [process, own] of [["server", steps] as const, ...engines]) {
    for (const { name, start_ms, duration_ms } of own) {
      lines.push([process, name, start_ms.toFixed(1), duration_ms.toFixed(1)]);
    }
  }
  return lines
    .map(([process = "", step = "", from = "", took = ""]) =>
      [process.padEnd(10), step.padEnd(18), from.padStart(9), took.padStart(9)].join(""),
    )
    .join("\n");
}
