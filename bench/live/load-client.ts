import { join } from "node:path";
import type { FanOutReport, Load } from "./fan-out.ts";
import type { MatchReport } from "./match.ts";
import { pinTo } from "./pin.ts";
import type { StormReport } from "./storm.ts";
import type { Role, WireName } from "./wire.ts";

/** What the process of the clients is told to do. */
export type ClientJob =
  | { kind: "open"; url: string; wire: WireName }
  | { kind: "join"; url: string; role: Role; count: number; sampleEvery?: number }
  | { kind: "load"; url: string; load: Load; serverPid: number; seconds: number }
  | { kind: "storm"; url: string; serverPid: number; missed: number; resumes: boolean }
  | { kind: "matches"; url: string; queries: number; documents: number }
  | { kind: "close" };

export type ClientAnswer =
  | { kind: "done" }
  | { kind: "load"; report: FanOutReport }
  | { kind: "storm"; report: StormReport }
  | { kind: "matches"; report: MatchReport }
  | { kind: "failed"; reason: string };

/** All clients, in a process of their own; one job at a time. Several servers may be open, each by its address. */
export class LoadClient implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  #waiting: PromiseWithResolvers<ClientAnswer> | undefined;

  private constructor(core: number) {
    this.#child = Bun.spawn([process.execPath, join(import.meta.dir, "load-client-child.ts")], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: ClientAnswer) => this.#settle(message),
      onExit: () => this.#settle({ kind: "failed", reason: "the clients' process ended" }),
    });
    pinTo(core, this.#child.pid);
  }

  /** Starts it on one of the machine's cores. */
  static start(core: number): LoadClient {
    return new LoadClient(core);
  }

  /** Opens the clients' side of a server, with its publisher and some subscribers in the room. */
  async open(
    { url, wire }: { url: string; wire: WireName },
    options: { subscribers: number; sampleEvery?: number },
  ): Promise<void> {
    await this.#run({ kind: "open", url, wire });
    await this.#run({ kind: "join", url, role: "publisher", count: 1 });
    const { subscribers: count, ...sampled } = options;
    await this.#run({ kind: "join", url, role: "subscriber", count, ...sampled });
  }

  /** More subscribers. */
  async join(url: string, count: number): Promise<void> {
    await this.#run({ kind: "join", url, role: "subscriber", count });
  }

  async load(
    { url, pid }: { url: string; pid: number },
    options: { load: Load; seconds: number },
  ): Promise<FanOutReport> {
    const answer = await this.#run({ kind: "load", url, serverPid: pid, ...options });
    if (answer.kind !== "load") throw new Error(`not a report of a load: ${answer.kind}`);
    return answer.report;
  }

  async storm(
    { url, pid }: { url: string; pid: number },
    options: { missed: number; resumes: boolean },
  ): Promise<StormReport> {
    const answer = await this.#run({ kind: "storm", url, serverPid: pid, ...options });
    if (answer.kind !== "storm") throw new Error(`not a report of a storm: ${answer.kind}`);
    return answer.report;
  }

  /** Standing queries and what they hear; needs nothing open. */
  async matches(
    url: string,
    options: { queries: number; documents: number },
  ): Promise<MatchReport> {
    const answer = await this.#run({ kind: "matches", url, ...options });
    if (answer.kind !== "matches") throw new Error(`not a report of matches: ${answer.kind}`);
    return answer.report;
  }

  /** Cuts the clients of all servers. */
  async close(): Promise<void> {
    await this.#run({ kind: "close" });
  }

  async #run(job: ClientJob): Promise<ClientAnswer> {
    if (this.#waiting !== undefined) throw new Error("the clients do one job at a time");
    this.#waiting = Promise.withResolvers();
    this.#child.send(job);
    const answer = await this.#waiting.promise;
    if (answer.kind === "failed") throw new Error(answer.reason);
    return answer;
  }

  #settle(answer: ClientAnswer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}
