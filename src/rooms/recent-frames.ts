import { utf8Bytes } from "../lib/text.ts";
import { limits } from "../limits.ts";
import type { ReplayOptions, ReplayPage } from "./stream.ts";

/** The latest frames of one stream, without a hole. */
interface Ring {
  frames: string[];
  /** When each was published, ms. */
  times: number[];
  /** Offset of the last one. */
  last: number;
  characters: number;
}

/** The latest frames of the streams that are in use. Past a number of characters the stream that was longest silent goes. */
export class RecentFrames {
  /** In the order of their last frames. */
  readonly #rings = new Map<string, Ring>();
  #characters = 0;

  add(sub: string, { offset, atMs, frame }: { offset: number; atMs: number; frame: string }): void {
    let ring = this.#rings.get(sub);
    if (ring?.last === offset - 1) this.#rings.delete(sub);
    else {
      this.forget(sub);
      ring = { frames: [], times: [], last: 0, characters: 0 };
    }
    this.#rings.set(sub, ring);
    ring.frames.push(frame);
    ring.times.push(atMs);
    ring.last = offset;
    this.#grow(ring, frame.length);
    while (
      ring.frames.length > limits.recentFramesPerRoom ||
      ring.characters > limits.recentFramesCharactersPerRoom
    ) {
      ring.times.shift();
      this.#grow(ring, -(ring.frames.shift()?.length ?? 0));
    }
    while (this.#characters > limits.recentFramesCharactersMax) this.#forgetOldest();
  }

  /** When an offset was published; undefined where it is not here. */
  timeOf(sub: string, offset: number): number | undefined {
    const ring = this.#rings.get(sub);
    return ring?.times[indexOf(ring, offset)];
  }

  /** A page; undefined where its first frame is not here. */
  read(sub: string, { after, upTo, framesMax, bytesMax }: ReplayOptions): ReplayPage | undefined {
    const ring = this.#rings.get(sub);
    if (ring === undefined) return undefined;
    const start = indexOf(ring, after + 1);
    const countMax = Math.min(framesMax, upTo - after);
    const frames: string[] = [];
    let bytes = 0;
    for (let frame = ring.frames[start]; frame !== undefined;) {
      bytes += utf8Bytes(frame);
      if (frames.length > 0 && bytes > bytesMax) break;
      frames.push(frame);
      if (frames.length >= countMax) break;
      frame = ring.frames[start + frames.length];
    }
    return frames.length === 0 ? undefined : { frames, upTo: after + frames.length };
  }

  forget(sub: string): void {
    this.#characters -= this.#rings.get(sub)?.characters ?? 0;
    this.#rings.delete(sub);
  }

  #grow(ring: Ring, by: number): void {
    ring.characters += by;
    this.#characters += by;
  }

  #forgetOldest(): void {
    const [sub] = this.#rings.keys();
    if (sub !== undefined) this.forget(sub);
  }
}

/** Where an offset stands in a ring; a place that is empty where it is not there. */
function indexOf({ frames, last }: Ring, offset: number): number {
  return frames.length - 1 - (last - offset);
}
