import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { LoadGenerator } from "../support/load.ts";
import { requestBytes } from "../support/load-answer.ts";
import type { RoundReport } from "../support/load-rounds.ts";
import { callJson, post } from "../support/server.ts";
import { loadRows, searchOf, type Contestant, type Loading, type Round } from "./contestant.ts";
import { diskBytes, memoryBytes } from "./footprint.ts";
import type { HttpPeer, HttpSession } from "./peer.ts";
import { QUERIES, readQueries, type FilterName } from "./vectors.ts";

interface Options {
  install: string;
  /** A folder of this contestant's own. */
  folder: string;
  cache: string;
  count: number;
  generator: LoadGenerator;
}

/** A server over HTTP: rounds are run by the load generator. */
export class HttpContestant implements Contestant {
  readonly #peer: HttpPeer;
  readonly #options: Options;
  readonly #dataDir: string;
  #session: HttpSession | undefined;
  readonly #requests = new Map<FilterName, Uint8Array<ArrayBuffer>[]>();

  constructor(peer: HttpPeer, options: Options) {
    this.#peer = peer;
    this.#options = options;
    this.#dataDir = join(options.folder, "data");
    mkdirSync(this.#dataDir, { recursive: true });
  }

  get name(): string {
    return this.#peer.name;
  }

  async load(): Promise<Loading> {
    const { install, cache, count } = this.#options;
    await using session = await this.#peer.start({ install, dataDir: this.#dataDir });
    return await loadRows(session, { cache, count });
  }

  async open(): Promise<number> {
    const { install, cache, count } = this.#options;
    const queries = await readQueries(cache, count);
    const start = performance.now();
    const session = await this.#peer.start({ install, dataDir: this.#dataDir });
    this.#session = session;
    const { url, body } = await session.request(searchOf(queries, 0, "none"));
    if (session.rowsOf(await callJson(url, post(body))).length === 0) {
      throw new Error(`${this.name} found nothing`);
    }
    return performance.now() - start;
  }

  async close(): Promise<void> {
    await this.#session?.[Symbol.asyncDispose]();
    this.#session = undefined;
    this.#requests.clear();
  }

  async find(filter: FilterName): Promise<number[][]> {
    const session = this.#opened();
    const queries = await readQueries(this.#options.cache, this.#options.count);
    const found: number[][] = [];
    for (const at of queries.keys()) {
      const { url, body } = await session.request(searchOf(queries, at, filter));
      found.push(session.rowsOf(await callJson(url, post(body))));
    }
    return found;
  }

  async round({ connections, filter, seconds }: Round): Promise<RoundReport> {
    const { url, expect } = this.#opened();
    const requests = await this.#prepared(filter);
    const job = { url, requests, connections, seconds, warmUpSeconds: 0.3, expect };
    return this.#options.generator.run(job);
  }

  async #prepared(filter: FilterName): Promise<Uint8Array<ArrayBuffer>[]> {
    const known = this.#requests.get(filter);
    if (known !== undefined) return known;
    const queries = await readQueries(this.#options.cache, this.#options.count);
    const prepared: Uint8Array<ArrayBuffer>[] = [];
    for (let at = 0; at < QUERIES; at++) {
      const { url, body } = await this.#opened().request(searchOf(queries, at, filter));
      prepared.push(requestBytes(url, body));
    }
    this.#requests.set(filter, prepared);
    return prepared;
  }

  #opened(): HttpSession {
    if (this.#session === undefined) throw new Error(`${this.name} is not open`);
    return this.#session;
  }

  memoryBytes(): number {
    return memoryBytes(this.#opened().pid);
  }

  diskBytes(): number {
    return diskBytes(this.#dataDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
