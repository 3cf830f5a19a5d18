/**
 * Load on an HTTP server from a process of its own: open connections with one request under way on each, whole requests
 * prepared before, latencies counted where the bytes arrive.
 */
import { join } from "node:path";

/** What a generator is told to do. It ends at the first of `seconds` and `count`. */
export interface LoadJob {
  /** Origin of the server. */
  url: string;
  /** Whole HTTP requests, sent in turn by all connections together. */
  requests: readonly Uint8Array<ArrayBuffer>[];
  connections: number;
  /** Counted time, after the warm-up. */
  seconds?: number;
  /** Requests in all. */
  count?: number;
  /** Time at the start that is not counted. */
  warmUpSeconds?: number;
  /** Pause of a connection after each answer, ms: a probe at a low rate. */
  pauseMs?: number;
  /** Text that every answer has; one without it is an error. */
  expect?: string;
}

/** What was counted: latencies in µs, from writing a request to having its whole answer. */
export interface LoadReport {
  requests: number;
  seconds: number;
  perSecond: number;
  p50Us: number;
  p99Us: number;
  /** The generator's own CPU time a request: where it comes near to 1 / perSecond, the generator is what is measured. */
  generatorCpuUs: number;
  errors: number;
  firstError: string;
}

type Message = { report: LoadReport } | { failed: string };

/** A process that sends requests. One job at a time. */
export class LoadGenerator implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  #waiting: PromiseWithResolvers<LoadReport> | undefined;

  private constructor() {
    this.#child = Bun.spawn([process.execPath, join(import.meta.dir, "load-worker.ts")], {
      stdio: ["ignore", "inherit", "inherit"],
      serialization: "advanced",
      ipc: (message: Message) => this.#settle(message),
      onExit: () => this.#settle({ failed: "the load generator ended" }),
    });
  }

  static start(): LoadGenerator {
    return new LoadGenerator();
  }

  /** Runs a job. @throws Error at the first answer that is no success or lacks what was expected */
  async run(job: LoadJob): Promise<LoadReport> {
    if (this.#waiting !== undefined) throw new Error("a load generator does one job at a time");
    this.#waiting = Promise.withResolvers();
    this.#child.send(job);
    const report = await this.#waiting.promise;
    if (report.errors > 0) throw new Error(`${job.url}: ${report.firstError}`);
    return report;
  }

  #settle(message: Message): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if ("report" in message) waiting?.resolve(message.report);
    else waiting?.reject(new Error(message.failed));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}

/** A path that is asked at a low rate while something else is under load. */
export interface Probe {
  generator: LoadGenerator;
  url: string;
  pauseMs: number;
}

/** Some load and, for the same time and from another process, a probe. */
export async function withProbe(
  loading: Promise<LoadReport>,
  { generator, ...job }: Probe & { request: Uint8Array<ArrayBuffer>; seconds: number },
): Promise<{ load: LoadReport; probe: LoadReport }> {
  const { request, ...probing } = job;
  const [load, probe] = await Promise.all([
    loading,
    generator.run({ ...probing, requests: [request], connections: 1 }),
  ]);
  return { load, probe };
}
