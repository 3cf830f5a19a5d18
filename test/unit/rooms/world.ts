import { createRooms, type Rooms } from "../../../src/rooms/rooms.ts";
import type { LiveStream, Position, Resume } from "../../../src/rooms/stream.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { fakeClock, type FakeClock } from "./fake-clock.ts";

/** What was told to listeners. */
interface Told {
  sub: string;
  frame: string;
  offset: number;
}

/** Rooms over a real store, as one life of a process has them. */
export interface Life {
  rooms: Rooms;
  store: Store;
  /** Every frame told in this life. */
  told: Told[];
}

/** A data directory whose process can end and begin again. */
export interface World extends AsyncDisposable {
  clock: FakeClock;
  life: Life;
  /** Ends the process; what it still has refuses everything. */
  stop(): Promise<void>;
  restart(): Promise<Life>;
}

export async function openWorld(): Promise<World> {
  const dir = tempDir();
  const clock = fakeClock();
  const begin = async (): Promise<Life> => {
    const store = await LocalStore.open(dir.path, { durability: "relaxed" });
    const rooms = createRooms({ store, clock });
    const told: Told[] = [];
    rooms.listen((sub, frame, offset) => void told.push({ sub, frame, offset }));
    return { rooms, store, told };
  };
  let stopped = false;
  const world: World = {
    clock,
    life: await begin(),
    async stop() {
      if (stopped) return;
      stopped = true;
      world.life.rooms[Symbol.dispose]();
      await world.life.store[Symbol.asyncDispose]();
    },
    async restart() {
      await world.stop();
      stopped = false;
      world.life = await begin();
      return world.life;
    },
    async [Symbol.asyncDispose]() {
      await world.stop();
      dir[Symbol.dispose]();
    },
  };
  return world;
}

/** Reads a stream as a socket does: what is missing page by page, then what is told. */
export interface Follower {
  /** Offsets in the order in which they came. */
  readonly offsets: number[];
  readonly frames: string[];
  readonly position: Position;
  /** What the last `follow` was told. */
  resume: Resume | undefined;
  follow(rooms: Rooms, options?: { history?: number; framesMax?: number }): Promise<void>;
  drop(): void;
}

export function follower(room: string): Follower {
  const position: Position = { epoch: "", offset: 0 };
  let live: LiveStream | undefined;
  const known = new WeakSet<Rooms>();
  const take = (frame: string): void => {
    const { offset } = JSON.parse(frame);
    self.offsets.push(offset);
    self.frames.push(frame);
    position.offset = offset;
  };
  const self: Follower = {
    offsets: [],
    frames: [],
    position,
    resume: undefined,
    async follow(rooms, { history, framesMax = 3 } = {}) {
      const stream = rooms.stream(room);
      if (!known.has(rooms)) {
        known.add(rooms);
        rooms.listen((sub, frame) => {
          if (live === stream && sub === stream.sub) take(frame);
        });
      }
      const since = position.epoch === "" ? undefined : { ...position };
      const asked = history === undefined ? {} : { history };
      const resume = await stream.resume(since === undefined ? asked : { since });
      self.resume = resume;
      position.epoch = resume.epoch;
      position.offset = resume.after;
      let after = resume.after;
      while (after < stream.head()) {
        const upTo = stream.head();
        const page = await stream.read({ after, upTo, framesMax, bytesMax: 10_000 });
        page.frames.forEach(take);
        after = page.upTo;
      }
      live = stream;
    },
    drop() {
      live = undefined;
    },
  };
  return self;
}

/** The whole numbers from `first` to `last`. */
export function span(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
