import type { Family } from "../telemetry/metrics.ts";
import { metrics } from "../telemetry/metrics.ts";
import type { EnginePool } from "./engine-pool.ts";

/** What an engine answers when it is asked for its numbers. */
export interface EngineNumbers {
  /** Its process id: another one after each start. */
  life: number;
  families: Family[];
}

/** What an engine's process says of itself. */
export async function ownNumbers(): Promise<EngineNumbers> {
  return { life: process.pid, families: await metrics.collect() };
}

const unanswered = metrics.counter("engine_unanswered_scrapes_total");

/**
 * Shows how the engines of a pool are, and adds their own numbers to those of this process at each look. One that is busy
 * or dead holds nothing up: its last numbers are shown, and it is asked again when it has answered.
 */
export function observePool(
  pool: Pick<EnginePool, "call" | "states" | "waiting">,
  count: number,
): Disposable {
  using stack = new DisposableStack();
  stack.use(metrics.observe("engine_calls_waiting", () => pool.waiting));
  for (let number = 0; number < count; number++) {
    const labels = { engine: String(number) };
    const state = () => pool.states()[number];
    stack.use(metrics.observe("engine_ready", () => (state()?.state === "ready" ? 1 : 0), labels));
    stack.use(metrics.observe("engine_restarts_total", () => state()?.restarts ?? 0, labels));
    stack.use(metrics.observe("engine_calls_in_flight", () => state()?.in_flight ?? 0, labels));
    unanswered.add(0, labels);
    stack.defer(() => metrics.remote.end(sourceOf(number)));
  }
  const asked = new Map<number, Promise<void>>();
  const ask = async (number: number): Promise<void> => {
    const numbers = await pool.call<EngineNumbers>("numbers", undefined, { engine: number });
    metrics.remote.take(sourceOf(number), numbers.life, numbers.families);
  };
  stack.use(
    metrics.refresh(async () => {
      for (const { engine, state } of pool.states()) {
        if (state !== "ready") metrics.remote.end(sourceOf(engine));
        else if (asked.has(engine)) unanswered.add(1, { engine: String(engine) });
        else
          asked.set(
            engine,
            ask(engine).finally(() => asked.delete(engine)),
          );
      }
      await Promise.allSettled(asked.values());
    }),
  );
  return stack.move();
}

function sourceOf(engine: number): string {
  return `engine-${engine}`;
}
