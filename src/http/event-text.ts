import type { LostEvent } from "../contract/rooms.ts";
import { assert } from "../problems.ts";
import type { Position } from "../rooms/stream.ts";

/**
 * When a reader that was cut off comes back, ms: a server that restarts has gone by then, and is not refusing any more.
 */
export const RETRY_LINE = "retry: 2000\n";

/** How a frame of the live protocol begins, of a room or of a standing query. */
const FRAME = /^\{"type":"(\w+)","sub":"[^"]*"(?:,"room":"[^"]*")?,"offset":(\d+)/;

/** A frame as an event, whose id is the position after it. Progress has nothing to say but its position. */
export function frameEvent(epoch: string, frame: string): string {
  const [, type, offset] = FRAME.exec(frame) ?? [];
  assert(type !== undefined, "a frame says what it is and where it stands");
  const id = idLine({ epoch, offset: Number(offset) });
  return type === "progress" ? `${id}\n` : `${id}event: ${type}\ndata: ${frame}\n\n`;
}

export function lostEvent(lost: LostEvent): string {
  return `${idLine(lost)}event: lost\ndata: ${JSON.stringify(lost)}\n\n`;
}

export function idLine({ epoch, offset }: Position): string {
  return `id: ${epoch}:${offset}\n`;
}

/** An id that is none of ours is a position in another life: its reader is told that it has lost what came since. */
export function parsePosition(id: string): Position {
  const [, epoch, offset] = /^([\w.-]+):(\d{1,15})$/.exec(id) ?? [];
  return epoch === undefined ? { epoch: "", offset: 0 } : { epoch, offset: Number(offset) };
}
