/** Passes on together what comes within one turn of the event loop, a few at a time. */
export class Gathered<T> {
  readonly #send: (items: T[]) => void;
  readonly #max: number;
  #items: T[] = [];
  /** Whether what gathers is sent when this turn is over. */
  #sendsSoon = false;

  /** `send` is given 1 to `max` items, in their order. */
  constructor(send: (items: T[]) => void, max: number) {
    this.#send = send;
    this.#max = max;
  }

  add(item: T): void {
    this.#items.push(item);
    if (this.#items.length >= this.#max) this.flush();
    else this.#sendSoon();
  }

  /** Sends what has gathered, if anything has. */
  flush(): void {
    const items = this.#items;
    if (items.length === 0) return;
    this.#items = [];
    this.#send(items);
  }

  #sendSoon(): void {
    if (this.#sendsSoon) return;
    this.#sendsSoon = true;
    setImmediate(() => {
      this.#sendsSoon = false;
      this.flush();
    });
  }
}
