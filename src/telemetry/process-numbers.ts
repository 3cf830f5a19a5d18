import { metrics } from "./metrics.ts";

/** How often the event loop is asked how late it is. */
const lookMs = 50;

const loopDelay = metrics.histogram("event_loop_delay_seconds");

/** Memory and processor time of this process. `name` says which: `front`, or an engine's. Disposing ends it. */
export function observeProcess(name: string): Disposable {
  using stack = new DisposableStack();
  const labels = { process: name };
  const startSeconds = (Date.now() - performance.now()) / 1000;
  stack.use(
    metrics.observe("process_resident_memory_bytes", () => process.memoryUsage.rss(), labels),
  );
  stack.use(metrics.observe("process_cpu_seconds_total", cpuSeconds, labels));
  stack.use(metrics.observe("process_start_time_seconds", () => startSeconds, labels));
  return stack.move();
}

/** Measures how late timers of this thread come. Disposing ends it. */
export function observeEventLoop(): Disposable {
  const series = loopDelay.of({});
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    series.record(Math.max(0, now - last - lookMs) / 1000);
    last = now;
  }, lookMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000_000;
}
