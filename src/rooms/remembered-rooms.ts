import { limits } from "../limits.ts";
import type { Room } from "./room.ts";

/**
 * Each room that is in use exactly once: the last ones are kept, and any other for as long as somebody holds it, as a
 * subscriber does.
 */
export class RememberedRooms {
  readonly #make: (name: string) => Room;
  readonly #forgotten: (room: Room) => void;
  /** In the order of their last use. */
  readonly #kept = new Map<string, Room>();
  readonly #held = new Map<string, WeakRef<Room>>();
  /** Rooms that may be held before those that nobody holds any more are looked for. */
  #heldMax: number = limits.roomsRememberedMax;
  #latest: Room | undefined;

  /** `forgotten` hears of rooms that are kept no longer. */
  constructor(make: (name: string) => Room, forgotten: (room: Room) => void) {
    this.#make = make;
    this.#forgotten = forgotten;
  }

  get(name: string): Room {
    if (this.#latest?.name === name) return this.#latest;
    const room = this.#kept.get(name) ?? this.#held.get(name)?.deref() ?? this.#make(name);
    this.#kept.delete(name);
    this.#kept.set(name, room);
    this.#latest = room;
    if (this.#kept.size > limits.roomsRememberedMax) this.#forgetOldest();
    return room;
  }

  /** The room where it is kept. */
  peek(name: string): Room | undefined {
    return this.#kept.get(name);
  }

  #forgetOldest(): void {
    const [oldest] = this.#kept.values();
    if (oldest === undefined) return;
    this.#kept.delete(oldest.name);
    this.#held.set(oldest.name, new WeakRef(oldest));
    this.#forgotten(oldest);
    if (this.#held.size > this.#heldMax) this.#releaseHeld();
  }

  /** Doubling what may be held keeps this from costing more with every room. */
  #releaseHeld(): void {
    for (const [name, room] of this.#held) if (room.deref() === undefined) this.#held.delete(name);
    this.#heldMax = Math.max(limits.roomsRememberedMax, this.#held.size * 2);
  }
}
