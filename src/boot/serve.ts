import type { Config } from "../config.ts";
import { listen } from "../http/serve.ts";
import type { Step } from "../lib/timeline.ts";
import { getLogger } from "../telemetry/logs.ts";
import { createProgram } from "./program.ts";

const log = getLogger("boot");

/** After the last request, time for its answer to leave the socket. */
const closeMs = 200;

export interface Served {
  url: string;
  /** What the start took its time for, here and in each engine. */
  steps: readonly Step[];
  engineSteps: readonly (readonly Step[])[];
  /** Drains and closes everything; false if requests had to be left. */
  stop(): Promise<boolean>;
}

/** Listens, then opens the program: probes are answered from the first moment. @throws Problem `port_in_use`, and as `openProgram` */
export async function serve(config: Config): Promise<Served> {
  await using stack = new AsyncDisposableStack();
  log.info("app.starting", { data_dir: config.dataDir });
  const starting = createProgram();
  const { front, lifecycle, timeline } = starting;
  await timeline.step("load the program", Promise.resolve(), 0);
  const listening = await timeline.step(
    "listen",
    Promise.resolve().then(() => listen(front, config)),
  );
  stack.defer(() => listening.stop(0));
  const program = stack.use(await starting.open(config));
  program.store.announce(listening.url);
  log.info("app.started", { url: listening.url, duration_ms: Math.round(performance.now()) });
  const owned = stack.move();
  return {
    url: listening.url,
    steps: timeline.steps,
    engineSteps: program.engines.states().map(({ steps }) => steps),
    async stop() {
      log.info("app.stopping");
      lifecycle.state = "draining";
      const drained = await front.drained(config.drainTimeoutSeconds * 1000);
      await listening.stop(drained ? closeMs : 0);
      await owned.disposeAsync();
      log.info("app.stopped", { drained });
      return drained;
    },
  };
}
