import { limits } from "../limits.ts";
import { assert, Problem } from "../problems.ts";
import { defaultSettingsOf, type RoomRow } from "../store/room-store.ts";
import type { Store } from "../store/store.ts";
import type { Clock } from "./clock.ts";
import { frameMaker, roomSub, type FrameParts } from "./message-frame.ts";
import type { RecentFrames } from "./recent-frames.ts";
import type {
  LiveStream,
  LostReason,
  Position,
  ReplayOptions,
  ReplayPage,
  Resume,
} from "./stream.ts";

/** What rooms have in common. */
export interface RoomParts {
  store: Store;
  clock: Clock;
  recent: RecentFrames;
}

/** What is known of a room once it was read. */
type Known = Omit<RoomRow, "name" | "listed"> & { epoch: string };

/**
 * One room. Only this process writes it, so that what was read once stays right. Every use begins with `ready`; an append
 * is sent only after it, so that what is read has nothing that subscribers are still to be told.
 */
export class Room implements LiveStream {
  readonly name: string;
  readonly sub: string;
  readonly #parts: RoomParts;
  readonly #frame: (parts: FrameParts) => string;
  #known: Known | undefined;
  /** What everybody waits for: that the room is read, or its settings are written. */
  #gate: Promise<void> | undefined;

  constructor(name: string, parts: RoomParts) {
    this.name = name;
    this.sub = roomSub(name);
    this.#parts = parts;
    this.#frame = frameMaker(name);
  }

  /**
   * Undefined where the room is ready now; else what to wait for before it is asked again, since another may have been
   * faster.
   */
  ready(): Promise<void> | undefined {
    if (this.#gate !== undefined) return this.#gate;
    return this.#known === undefined ? this.#behindGate(() => this.#load()) : undefined;
  }

  /** Waits until the room is ready. */
  async open(): Promise<void> {
    for (let gate = this.ready(); gate !== undefined; gate = this.ready()) await gate;
  }

  /** Does what nobody may meet half done. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    for (let gate = this.ready(); gate !== undefined; gate = this.ready()) await gate;
    let result: { value: T } | undefined;
    await this.#behindGate(async () => {
      result = { value: await work() };
    });
    assert(result !== undefined, "the work has ended");
    return result.value;
  }

  /** What is known; after `ready` only. */
  get known(): Readonly<Known> {
    assert(this.#known !== undefined, "a room is ready before it is used");
    return this.#known;
  }

  /** True for a room without a past. */
  get isEphemeral(): boolean {
    return this.known.historyMessages === 0;
  }

  /** Takes over what is stored now. */
  take(row: Omit<RoomRow, "name" | "listed">): void {
    const before = this.#known;
    const { head, floor, life, historyMessages, historySeconds } = row;
    const settings = { historyMessages, historySeconds };
    const epoch = before?.life === life ? before.epoch : this.#epochOf(row);
    this.#known = { head: Math.max(head, before?.head ?? 0), floor, life, epoch, ...settings };
  }

  /** Gives the publication its frame, which subscribers are to be told now. */
  advance(parts: FrameParts): string {
    const frame = this.#frame(parts);
    const { offset, atMs } = parts;
    if (this.#known !== undefined) this.#known.head = offset;
    this.#parts.recent.add(this.sub, { offset, atMs, frame });
    return frame;
  }

  head(): number {
    return this.#known?.head ?? 0;
  }

  async resume({ since, history = 0 }: { since?: Position; history?: number }): Promise<Resume> {
    await this.open();
    // Where it is decided what is missing, subscribers may hear of more meanwhile: the head is taken last.
    if (since === undefined) {
      const floor = history === 0 ? Infinity : await this.floor();
      const { head, epoch } = this.known;
      const after = Math.min(head, Math.max(head - history, floor));
      return { epoch, offset: head, recovered: false, after, replay: head - after };
    }
    const reason = await this.#lostReason(since);
    const { head, epoch } = this.known;
    const told = { epoch, offset: head };
    if (reason !== undefined) return { ...told, recovered: false, reason, after: head, replay: 0 };
    return { ...told, recovered: true, after: since.offset, replay: head - since.offset };
  }

  /** @throws Problem `history_lost` where what comes next was removed meanwhile */
  async read(options: ReplayOptions): Promise<ReplayPage> {
    await this.open();
    const { after, upTo, framesMax, bytesMax } = options;
    if (after >= upTo) return { frames: [], upTo };
    const recent = this.#parts.recent.read(this.sub, options);
    if (recent !== undefined) return recent;
    const limit = Math.min(framesMax, limits.replayFramesPerPage);
    const range = { after, upTo, limit, charactersMax: bytesMax };
    const rows = await this.#parts.store.publications(this.name, range);
    const last = rows.at(-1);
    if (after < this.known.floor || rows[0]?.offset !== after + 1 || last === undefined) {
      throw new Problem("history_lost", "The room has removed what comes next: subscribe anew.");
    }
    return { frames: rows.map((row) => this.#frame(row)), upTo: last.offset };
  }

  /** Nothing up to this offset can be read now; the head where nothing is kept. */
  async floor(): Promise<number> {
    const { floor, head, historyMessages } = this.known;
    const after = Math.max(floor, head - historyMessages);
    if (after >= head) return head;
    return (await this.#firstYoung(after, head)) - 1;
  }

  async #lostReason({ epoch, offset }: Position): Promise<LostReason | undefined> {
    const { known } = this;
    if (epoch !== known.epoch) return "epoch_changed";
    if (offset > known.head) return "ahead";
    if (offset === known.head) return undefined;
    if (offset < Math.max(known.floor, known.head - known.historyMessages)) return "too_old";
    const isThere = (await this.#firstYoung(offset, offset + 1)) === offset + 1;
    return isThere ? undefined : "too_old";
  }

  /** The first offset of a range that is stored and not past its time; one past the range where there is none. */
  async #firstYoung(after: number, upTo: number): Promise<number> {
    const { store, clock, recent } = this.#parts;
    const afterMs = clock.now() - this.known.historySeconds * 1000;
    const time = recent.timeOf(this.sub, after + 1);
    if (time !== undefined && time > afterMs) return after + 1;
    return store.firstPublication(this.name, { after, upTo, afterMs });
  }

  #behindGate(work: () => Promise<void>): Promise<void> {
    const gate = work().finally(() => (this.#gate = undefined));
    this.#gate = gate.catch(() => {});
    return gate;
  }

  async #load(): Promise<void> {
    const row = await this.#parts.store.room(this.name);
    this.take(row ?? { head: 0, floor: 0, life: 0, ...defaultSettingsOf(this.name) });
  }

  /** Of a room without a past it is of this process alone, since its offsets are counted in memory. */
  #epochOf({ historyMessages, life }: Pick<RoomRow, "historyMessages" | "life">): string {
    if (historyMessages === 0) return crypto.randomUUID();
    const { epoch } = this.#parts.store;
    return life === 0 ? epoch : `${epoch}.${life}`;
  }
}
