import { presenceSub } from "../contract/rooms.ts";
import { limits } from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { FrameListener } from "./stream.ts";

/** Who is in a room now. */
export interface PresentMembers {
  room: string;
  count: number;
  /** Sessions, at most `limits.presenceMembersShown`. */
  members: string[];
}

/** Who is in the rooms. What changes is told at most once a second, in one frame a room, with `sub` `p:<room>`. */
export interface Presence {
  /** A connection of this session has come into a room; a session may have several. */
  join(room: string, session: string): void;
  /** One of its connections has left. When none has come back after ten seconds, the others hear of it. */
  leave(room: string, session: string): void;
  of(room: string): PresentMembers;
}

/** How often changes are told. */
const TELL_MS = 1000;

/** How long a session that left may stay away without the others hearing of it: a reconnect takes less. */
const GRACE_MS = 10_000;

/** Who is in one room, and what the others have not been told of yet. */
interface RoomPresence {
  /** Session -> its connections; 0 for one that is away and may come back. */
  connections: Map<string, number>;
  joined: string[];
  left: string[];
}

/** A session that left, in the order of leaving. */
interface Absence {
  room: string;
  session: string;
  goneMs: number;
}

export class LocalPresence implements Presence, Disposable {
  readonly #clock: Clock;
  readonly #tell: FrameListener;
  readonly #rooms = new Map<string, RoomPresence>();
  readonly #changed = new Set<string>();
  /** In the order of leaving. */
  readonly #absences = new Map<string, Absence>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, tell: FrameListener) {
    this.#clock = clock;
    this.#tell = tell;
  }

  join(room: string, session: string): void {
    const presence = this.#roomOf(room);
    const connections = presence.connections.get(session);
    presence.connections.set(session, (connections ?? 0) + 1);
    if (connections === 0) this.#absences.delete(`${room} ${session}`);
    if (connections !== undefined) return;
    note(presence.joined, session);
    this.#changed.add(room);
    this.#tickSoon();
  }

  leave(room: string, session: string): void {
    const connections = this.#rooms.get(room)?.connections;
    const count = connections?.get(session) ?? 0;
    if (count === 0) return;
    connections?.set(session, count - 1);
    if (count > 1) return;
    const goneMs = this.#clock.now() + GRACE_MS;
    this.#absences.set(`${room} ${session}`, { room, session, goneMs });
    this.#tickSoon();
  }

  of(room: string): PresentMembers {
    const connections = this.#rooms.get(room)?.connections;
    const members = connections?.keys().take(limits.presenceMembersShown).toArray() ?? [];
    return { room, count: connections?.size ?? 0, members };
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }

  #roomOf(room: string): RoomPresence {
    const known = this.#rooms.get(room);
    if (known !== undefined) return known;
    const made = { connections: new Map<string, number>(), joined: [], left: [] };
    this.#rooms.set(room, made);
    return made;
  }

  #tickSoon(): void {
    this.#cancel ??= this.#clock.after(TELL_MS, () => this.#tick());
  }

  #tick(): void {
    this.#cancel = undefined;
    this.#endAbsences();
    for (const room of this.#changed) this.#tellOf(room);
    this.#changed.clear();
    if (this.#absences.size > 0) this.#tickSoon();
  }

  /** Takes out who has been away too long. */
  #endAbsences(): void {
    const now = this.#clock.now();
    for (const [name, { room, session, goneMs }] of this.#absences) {
      if (goneMs > now) return;
      this.#absences.delete(name);
      const presence = this.#rooms.get(room);
      if (presence === undefined) continue;
      presence.connections.delete(session);
      note(presence.left, session);
      this.#changed.add(room);
    }
  }

  #tellOf(room: string): void {
    const presence = this.#rooms.get(room);
    if (presence === undefined) return;
    const { joined, left } = presence;
    const count = presence.connections.size;
    const sub = presenceSub(room);
    presence.joined = [];
    presence.left = [];
    if (count === 0) this.#rooms.delete(room);
    this.#tell(sub, JSON.stringify({ type: "presence", sub, room, count, joined, left }), 0);
  }
}

/** The first of many are named; the number says how many there are. */
function note(names: string[], session: string): void {
  if (names.length < limits.presenceMembersShown) names.push(session);
}
