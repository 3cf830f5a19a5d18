import { Gathered } from "../lib/gathered.ts";
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
  readonly #gathered: Gathered<CallResult>;

  constructor(send: (message: Extract<FromChild, { type: "results" }>) => void) {
    const sendAll = (results: CallResult[]): void => send({ type: "results", results });
    this.#gathered = new Gathered(sendAll, limits.resultsPerMessageMax);
  }

  /** `tookMs`: from the call's begin to its result. */
  add(result: CallResult, tookMs: number): void {
    this.#gathered.add(result);
    if (tookMs > quickMs) this.flush();
  }

  /** Sends what has gathered, if anything has. */
  flush(): void {
    this.#gathered.flush();
  }
}
