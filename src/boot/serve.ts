import type { Config } from "../config.ts";
import { createEdge } from "../http/edge.ts";
import type { EventStreams } from "../http/event-streams.ts";
import type { Front } from "../http/front.ts";
import { listen, type Listening } from "../http/serve.ts";
import type { Step } from "../lib/timeline.ts";
import { createLive, type Live } from "../live/live.ts";
import type { LiveCounters } from "../live/counters.ts";
import { getLogger } from "../telemetry/logs.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { observeLive } from "./observe.ts";
import { createProgram } from "./program.ts";
import { closing } from "./steps.ts";
import { openTelemetry } from "./telemetry.ts";

const log = getLogger("boot");

/** After the last request, time for its answer to leave the socket. */
const closeMs = 200;

/** Time for live connections that were closed to be closed from the other side too. */
const liveCloseMs = 2000;

export interface Served {
  url: string;
  /** What the start took its time for, here and in each engine. */
  steps: readonly Step[];
  engineSteps: readonly (readonly Step[])[];
  live: LiveCounters;
  /** Drains and closes everything; false if requests had to be left. */
  stop(): Promise<boolean>;
}

/** Listens, then opens the program: probes are answered from the first moment. @throws Problem `port_in_use`, and as `openProgram` */
export async function serve(config: Config): Promise<Served> {
  await using stack = new AsyncDisposableStack();
  log.info("app.starting", { data_dir: config.dataDir });
  const telemetry = await openTelemetry(config);
  closing(stack, "telemetry", telemetry);
  const edge = createEdge(config);
  const starting = createProgram({ lifeCycleSpans: telemetry.lifeCycle, edge });
  const { front, lifecycle, timeline } = starting;
  await timeline.step("load the program", Promise.resolve(), 0);
  const live = stack.use(createLive(config));
  stack.use(observeLive(live.counters));
  const listening = await timeline.step(
    "listen",
    Promise.resolve().then(() =>
      listen(front, { host: config.host, port: config.port, live, edge }),
    ),
  );
  stack.defer(() => listening.stop(0));
  const program = stack.use(await starting.open(config));
  live.start(program.live, listening.server);
  program.store.announce(listening.url);
  program.storedQueries.start();
  log.info("app.started", { url: listening.url, duration_ms: Math.round(performance.now()) });
  const owned = stack.move();
  return {
    url: listening.url,
    steps: timeline.steps,
    engineSteps: program.engines.states().map(({ steps }) => steps),
    live: live.counters,
    async stop() {
      const start = performance.now();
      // First of all: probes send nobody here any more, and what comes all the same is refused.
      lifecycle.state = "draining";
      log.info("app.stopping");
      const { jobs, events } = program;
      const timeoutMs = config.drainTimeoutSeconds * 1000;
      const drained = await drain({ front, live, listening, jobs, events }, timeoutMs);
      await owned.disposeAsync();
      log.info("app.stopped", { drained, duration_ms: Math.round(performance.now() - start) });
      return drained;
    },
  };
}

interface Draining {
  front: Front;
  live: Live;
  listening: Listening;
  jobs: Pick<Jobs, "drain">;
  events: Pick<EventStreams, "end">;
}

/** Finishes what runs, then closes what is open. False if requests had to be left. */
async function drain(
  { front, live, listening, jobs, events }: Draining,
  timeoutMs: number,
): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  live.drain.announce(timeoutMs);
  const [isAnswered, isLiveAnswered, isWorkDone] = await Promise.all([
    front.drained(timeoutMs),
    live.drain.idle(timeoutMs),
    jobs.drain(timeoutMs),
  ]);
  // What is left of the jobs goes on at the next start: nobody waits for it.
  const drained = isAnswered && isLiveAnswered;
  log.info("drain.work_ended", { requests_left: !drained, jobs_left: !isWorkDone });
  const leftMs = Math.max(0, endMs - performance.now());
  const closed = await live.drain.close(leftMs);
  // Last of all, so that who comes back meets no server that is still stopping.
  events.end();
  log.info("drain.sockets_closed", { sockets: closed });
  const graceMs = closed > 0 ? Math.max(closeMs, Math.min(leftMs, liveCloseMs)) : closeMs;
  await listening.stop(drained ? graceMs : 0);
  return drained;
}
