import type { Config } from "../config.ts";
import { loadLifeCycleSpans, type LifeCycleSpans } from "../http/life-cycle-spans.ts";
import { setupMetrics } from "../telemetry/metrics-export.ts";
import { observeEventLoop, observeProcess } from "../telemetry/process-numbers.ts";
import { setupTelemetry, startTraces, tracesWanted } from "../telemetry/traces.ts";

/** Traces that are on, or nothing. */
export interface Spans extends AsyncDisposable {
  /** What the framework's steps are traced with; undefined unless traces are detailed. */
  lifeCycle: LifeCycleSpans | undefined;
}

/** Traces and metrics of the server's process, before anything that they should tell of. */
export async function openTelemetry(config: Config): Promise<Spans> {
  await using stack = new AsyncDisposableStack();
  stack.use(await setupMetrics(config));
  stack.use(await setupTelemetry(config));
  stack.use(observeProcess("front"));
  stack.use(observeEventLoop());
  const lifeCycle = await lifeCycleOf(config);
  const owned = stack.move();
  return { lifeCycle, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Traces of another process of the program. */
export async function openSpans(config: Config): Promise<Spans> {
  const traces = await startTraces(config);
  const lifeCycle = await lifeCycleOf(config);
  return { lifeCycle, [Symbol.asyncDispose]: () => traces[Symbol.asyncDispose]() };
}

async function lifeCycleOf(config: Config): Promise<LifeCycleSpans | undefined> {
  const wanted = tracesWanted(config) && config.traceDetail === "detailed";
  return wanted ? loadLifeCycleSpans(config.otelServiceName) : undefined;
}
