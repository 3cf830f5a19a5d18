import { limits } from "../limits.ts";
import type { WaitingDeliveries } from "../store/stored-query-store.ts";

type Amount = Pick<WaitingDeliveries, "count" | "characters">;

/** How much waits for each webhook and for all, so that it can be bounded. */
export class WaitingTally {
  readonly #byQuery = new Map<string, Amount>();
  #total: Amount = { count: 0, characters: 0 };
  readonly #waiters = new Map<string, () => void>();

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

  /** Calls once when there is room. */
  onRoom(queryId: string, call: () => void): void {
    this.#waiters.set(queryId, call);
  }

  #set(queryId: string, wanted: Amount): void {
    const before = this.of(queryId);
    // The store counts characters in another way: what is left over of them goes with the last match.
    const amount = wanted.count > 0 ? wanted : { count: 0, characters: 0 };
    const { count, characters } = this.#total;
    this.#total = {
      count: count + amount.count - before.count,
      characters: characters + amount.characters - before.characters,
    };
    if (amount.count === 0) this.#byQuery.delete(queryId);
    else this.#byQuery.set(queryId, amount);
  }

  #wake(): void {
    for (const [queryId, call] of this.#waiters) {
      if (!this.hasRoom(queryId)) continue;
      this.#waiters.delete(queryId);
      call();
    }
  }
}
