import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { RoundReport } from "../support/load-rounds.ts";
import type { Contestant, Loading, Round } from "./contestant.ts";
import { diskBytes, memoryBytes } from "./footprint.ts";
import type { ChildAnswer, ChildOptions, Command } from "./library-child.ts";
import type { LibraryPeer } from "./peer.ts";
import type { FilterName } from "./vectors.ts";

interface Options {
  install: string;
  /** A folder of this contestant's own. */
  folder: string;
  cache: string;
  count: number;
}

/** A library in a process of its own: it is loaded in one and searched in another, whose memory then is the library's. */
export class LibraryContestant implements Contestant {
  readonly #peer: LibraryPeer;
  readonly #options: ChildOptions;
  #process: LibraryProcess | undefined;
  #holder = 0;

  constructor(peer: LibraryPeer, { folder, ...options }: Options) {
    this.#peer = peer;
    const dataDir = join(folder, "data");
    mkdirSync(dataDir, { recursive: true });
    this.#options = { ...options, dataDir, name: peer.name };
  }

  get name(): string {
    return this.#peer.name;
  }

  async load(): Promise<Loading> {
    await using process = new LibraryProcess(this.#options);
    const answer = await process.ask({ kind: "load" });
    if (answer.kind !== "loaded") throw unexpected(this.name, answer);
    return answer.loading;
  }

  async open(): Promise<number> {
    const start = performance.now();
    this.#process = new LibraryProcess(this.#options);
    const answer = await this.#process.ask({ kind: "open" });
    if (answer.kind !== "opened") throw unexpected(this.name, answer);
    this.#holder = answer.pid;
    return performance.now() - start;
  }

  async close(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }

  async find(filter: FilterName): Promise<number[][]> {
    const answer = await this.#opened().ask({ kind: "find", filter });
    if (answer.kind !== "found") throw unexpected(this.name, answer);
    return answer.rows;
  }

  async round(round: Round): Promise<RoundReport> {
    const answer = await this.#opened().ask({ kind: "round", ...round });
    if (answer.kind !== "measured") throw unexpected(this.name, answer);
    return answer.report;
  }

  #opened(): LibraryProcess {
    if (this.#process === undefined) throw new Error(`${this.name} is not open`);
    return this.#process;
  }

  memoryBytes(): number {
    return memoryBytes(this.#holder);
  }

  diskBytes(): number {
    return diskBytes(this.#options.dataDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function unexpected(name: string, answer: ChildAnswer): Error {
  return new Error(`${name}: ${answer.kind === "failed" ? answer.reason : answer.kind}`);
}

/** One process over the data; disposing has it close them before it ends. */
class LibraryProcess implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  #waiting: PromiseWithResolvers<ChildAnswer> | undefined;

  constructor(options: ChildOptions) {
    const script = join(import.meta.dir, "library-child.ts");
    this.#child = Bun.spawn([process.execPath, script, JSON.stringify(options)], {
      stdio: ["ignore", "inherit", "inherit"],
      serialization: "advanced",
      ipc: (answer: ChildAnswer) => this.#settle(answer),
      onExit: () => this.#settle({ kind: "failed", reason: "its process ended" }),
    });
  }

  ask(command: Command): Promise<ChildAnswer> {
    this.#waiting = Promise.withResolvers();
    this.#child.send(command);
    return this.#waiting.promise;
  }

  #settle(answer: ChildAnswer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.disconnect();
    await this.#child.exited;
  }
}
