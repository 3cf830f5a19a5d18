import { limits } from "../limits.ts";
import { assert, Problem } from "../problems.ts";
import type { AppendedPublications, NewPublication, RoomWrite } from "../store/room-store.ts";
import type { Clock } from "./clock.ts";
import type { FrameParts } from "./message-frame.ts";
import type { Room } from "./room.ts";

/** What a publication came to. */
export interface Appended {
  offset: number;
  atMs: number;
  duplicate: boolean;
}

/** A publication that waits. */
interface Waiting {
  room: Room;
  publication: NewPublication;
  resolve: (appended: Appended) => void;
  reject: (reason: unknown) => void;
}

/** What the store said of a batch. */
type Outcome = { ok: true; appended: AppendedPublications } | { ok: false; reason: unknown };

export interface AppenderParts {
  store: Pick<RoomWrite, "appendPublications">;
  clock: Clock;
  /** Hears of each publication once it is committed, in the order of the offsets. */
  tell: (room: Room, parts: FrameParts) => void;
}

/**
 * Sends what was published in one turn of the event loop to the store as one write, and tells of it in the order in which
 * it was sent, whatever the order of the answers.
 */
export class Appender {
  readonly #parts: AppenderParts;
  #waiting: Waiting[] = [];
  /** Settles when everything that was sent has been told or refused. */
  #told = Promise.resolve();

  constructor(parts: AppenderParts) {
    this.#parts = parts;
  }

  /** Resolves after COMMIT, when the publication has been told. @throws Problem `limit_reached`, and as the store */
  add(room: Room, publication: NewPublication): Promise<Appended> {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    if (this.#waiting.length === 0) setImmediate(() => this.#send());
    this.#waiting.push({ room, publication, resolve, reject });
    return promise;
  }

  /** Resolves when everything that was added before has been told or refused. */
  settled(): Promise<void> {
    this.#send();
    return this.#told;
  }

  #send(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let start = 0; start < waiting.length; start += limits.publicationsPerWriteMax) {
      const batch = waiting.slice(start, start + limits.publicationsPerWriteMax);
      this.#told = this.#append(batch, this.#told);
    }
  }

  async #append(batch: readonly Waiting[], before: Promise<void>): Promise<void> {
    const atMs = this.#parts.clock.now();
    const outcome = await this.#write(batch, atMs);
    await before;
    // Never rejects: those that come after would wait for ever.
    try {
      if (!outcome.ok) throw outcome.reason;
      this.#settle(batch, outcome.appended, atMs);
    } catch (reason) {
      for (const { reject } of batch) reject(reason);
    }
  }

  async #write(batch: readonly Waiting[], atMs: number): Promise<Outcome> {
    try {
      const publications = batch.map(({ publication }) => publication);
      return { ok: true, appended: await this.#parts.store.appendPublications(publications, atMs) };
    } catch (reason) {
      return { ok: false, reason };
    }
  }

  #settle(
    batch: readonly Waiting[],
    { offsets, repeated }: AppendedPublications,
    atMs: number,
  ): void {
    assert(offsets.length === batch.length, "every publication has its answer");
    const before = new Map(repeated.map((one) => [one.index, one.atMs]));
    for (const [index, { room, publication, resolve, reject }] of batch.entries()) {
      const offset = offsets[index] ?? 0;
      const firstMs = before.get(index);
      if (offset === 0) reject(tooMany());
      else if (firstMs !== undefined) resolve({ offset, atMs: firstMs, duplicate: true });
      else {
        this.#parts.tell(room, {
          offset,
          atMs,
          data: publication.data,
          from: publication.from ?? null,
        });
        resolve({ offset, atMs, duplicate: false });
      }
    }
  }
}

function tooMany(): Problem {
  return new Problem("limit_reached", `There may be ${limits.roomsMax} rooms.`);
}
