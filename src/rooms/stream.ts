import type { Problem } from "../problems.ts";

/** Where a reader of a stream stands. */
export interface Position {
  /** Random id of the stream's life: offsets of another life mean nothing. */
  epoch: string;
  offset: number;
}

/** Why a position cannot be gone on from: another life, no longer kept, or not reached yet. */
export type LostReason = "epoch_changed" | "too_old" | "ahead";

/** What a new subscriber is told, and where its replay begins. */
export interface Resume {
  epoch: string;
  /** The last offset told to subscribers when this was decided. */
  offset: number;
  /** True where nothing is missing between the position asked for and what follows; false without a position. */
  recovered: boolean;
  reason?: LostReason;
  /** The replay is of what comes after this offset. */
  after: number;
  /** How many frames the replay has; for streams that are sparse, how many changes it looks at. */
  replay: number;
}

/** Frames of a replay, in order. */
export interface ReplayPage {
  /** Finished frames of the wire, JSON text. */
  frames: readonly string[];
  /** Everything up to this offset has been given: the next page begins after it. */
  upTo: number;
}

export interface ReplayOptions {
  after: number;
  /** The position that the whole replay began from; `after` by default. A document inserted after it is new to its reader. */
  since?: number;
  /** Nothing after this offset: what comes later is told live. */
  upTo: number;
  framesMax: number;
  bytesMax: number;
}

/**
 * What a socket can subscribe to: a room, or a standing query. It has a head, its past can be read in order, and what is
 * new is told to its listener, so history, resume and fan-out are written once for both.
 */
export interface LiveStream {
  /** Its name on the wire and its topic: `r:<room>` or `q:<hash>`. */
  readonly sub: string;
  /** The last offset told to listeners. */
  head(): number;
  /** Why nothing will come of it any more; undefined, or absent, while it goes on. */
  ended?(): Problem | undefined;
  /** What a subscriber gets that has read up to `since`, or wants the last `history` frames. */
  resume(options: { since?: Position; history?: number }): Promise<Resume>;
  /** A page of the past; empty with `upTo` reached when there is nothing more. */
  read(options: ReplayOptions): Promise<ReplayPage>;
}

/** Hears that a stream is over: nothing will come of it any more, for this reason. Must not throw. */
export type EndListener = (sub: string, reason: Problem) => void;

/** Hears every new frame of every stream, in order within each. `offset` is the stream's head from now on. */
export type FrameListener = (sub: string, frame: string, offset: number) => void;
