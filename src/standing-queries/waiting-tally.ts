import { limits } from "../limits.ts";
import type { WaitingDeliveries } from "../store/stored-query-store.ts";

type Amount = Pick<WaitingDeliveries, "count" | "characters">;

/** How much waits for each webhook and for all, so that it can be bounded. */
export class WaitingTally {
  readonly #byQuery = new Map<string, Amount>();
  #total: Amount = { count: 0, characters: 0 };
  #waiters: { queryId: string; resolve: () => void }[] = [];

  get total(): Readonly<Amount> {
    return this.#total;
  }

  of(queryId: string): Readonly<Amount> {
    return this.#byQuery.get(queryId) ?? { count: 0, characters: 0 };
  }

  add(queryId: string, { count, characters }: Amount): void {
    const before = this.of(queryId);
    this.#set(queryId, {
      count: before.count + count,
      characters: before.characters + characters,
    });
  }

  /** What was sent or given up. */
  take(queryId: string, { count, characters }: Amount): void {
    this.add(queryId, { count: -count, characters: -characters });
    this.#wake();
  }

  forget(queryId: string): void {
    this.#set(queryId, { count: 0, characters: 0 });
    this.#wake();
  }

  hasRoom(queryId: string): boolean {
    return (
      this.of(queryId).count < limits.webhookMatchesWaitingMax &&
      this.#total.count < limits.webhookMatchesWaitingTotal &&
      this.#total.characters < limits.webhookCharactersWaitingTotal
    );
  }

  /** Resolves when there may be room, or the signal is aborted. */
  async room(queryId: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ queryId, resolve });
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }

  #set(queryId: string, amount: Amount): void {
    const before = this.of(queryId);
    const { count, characters } = this.#total;
    this.#total = {
      count: count + amount.count - before.count,
      characters: characters + amount.characters - before.characters,
    };
    if (amount.count === 0) this.#byQuery.delete(queryId);
    else this.#byQuery.set(queryId, amount);
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (this.hasRoom(waiter.queryId)) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }
}
