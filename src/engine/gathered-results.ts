import { limits } from "../limits.ts";
import type { CallResult, FromChild } from "./calls.ts";

/** What took so long is sent at once: the next call may take as long again. */
const quickMs = 2;

/**
 * Sends the results of calls that an engine answers within one turn of its event loop a few at a time. Each message wakes the
 * server's thread, which takes a core from an engine: with two engines on two cores, four results in a message leave it
 * with three quarters of its work, and searches by vector with 8 % more a second.
 */
export class GatheredResults {
  readonly #send: (message: Extract<FromChild, { type: "results" }>) => void;
  #results: CallResult[] = [];

  constructor(send: (message: Extract<FromChild, { type: "results" }>) => void) {
    this.#send = send;
  }

  /** `tookMs`: from the call's begin to its result. */
  add(result: CallResult, tookMs: number): void {
    this.#results.push(result);
    if (this.#results.length >= limits.resultsPerMessageMax || tookMs > quickMs) this.flush();
    else if (this.#results.length === 1) setImmediate(() => this.flush());
  }

  /** Sends what has gathered, if anything has. */
  flush(): void {
    const results = this.#results;
    if (results.length === 0) return;
    this.#results = [];
    this.#send({ type: "results", results });
  }
}
