import type { Environment } from "./environment.ts";
import { SlipstreamError } from "./error.ts";
import { backoffMs } from "./policy.ts";
import type { Request, Requests } from "./requests.ts";
import type { LiveReader, ReaderHost, StreamFrame } from "./stream-reader.ts";

export interface ReadersOptions {
  requests: Requests;
  environment: Environment;
  connected(): boolean;
}

/** The streams that a client reads, found by their names on the wire. */
export class Readers implements ReaderHost {
  readonly #options: ReadersOptions;
  readonly #held = new Map<string, LiveReader>();
  /** Opened again before the server has forgotten the one that was closed. */
  readonly #next = new Map<string, LiveReader>();
  readonly #heard = new Map<string, LiveReader>();

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  /** @throws SlipstreamError `already_subscribed` */
  check(key: string): void {
    const open = [this.#held.get(key), this.#next.get(key)].some((one) => one?.ended === false);
    if (!open) return;
    throw new SlipstreamError("already_subscribed", "This client has that subscription open.");
  }

  start(reader: LiveReader): void {
    if (this.#held.has(reader.key)) {
      this.#next.set(reader.key, reader);
      return;
    }
    this.#held.set(reader.key, reader);
    reader.opened();
  }

  opened(): void {
    for (const reader of this.#held.values()) reader.opened();
  }

  lost(): void {
    for (const reader of this.#held.values()) reader.lost();
  }

  end(error: SlipstreamError | undefined): void {
    for (const reader of [...this.#next.values(), ...this.#held.values()]) reader.end(error);
  }

  take(name: string, frame: StreamFrame): void {
    this.#heard.get(name)?.take(frame);
  }

  add(request: Request): string {
    return this.#options.requests.add(request);
  }

  connected(): boolean {
    return this.#options.connected();
  }

  later(attempt: number, call: () => void): () => void {
    const { environment } = this.#options;
    return environment.after(
      backoffMs(attempt, () => environment.random()),
      call,
    );
  }

  hear(name: string, reader: LiveReader): void {
    this.#heard.set(name, reader);
  }

  unhear(name: string): void {
    this.#heard.delete(name);
  }

  gone(reader: LiveReader): void {
    const { key } = reader;
    if (this.#next.get(key) === reader) this.#next.delete(key);
    if (this.#held.get(key) !== reader) return;
    this.#held.delete(key);
    const next = this.#next.get(key);
    if (next === undefined) return;
    this.#next.delete(key);
    this.start(next);
  }
}
