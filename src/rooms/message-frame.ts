/** What a frame tells of a publication. */
export interface FrameParts {
  offset: number;
  atMs: number;
  /** JSON text. */
  data: string;
  from: string | null;
}

/**
 * Gives what makes the frames of one room, as JSON text. The data goes in as the text that it is: it is serialised once,
 * however many sockets get it.
 */
export function frameMaker(room: string): (parts: FrameParts) => string {
  // A name has nothing that JSON would escape.
  const start = `{"type":"message","sub":"${roomSub(room)}","room":"${room}","offset":`;
  return ({ offset, atMs, data, from }) => {
    const end = from === null ? "}" : `,"from":${JSON.stringify(from)}}`;
    return `${start}${offset},"ts":"${timeText(atMs)}","data":${data}${end}`;
  };
}

/** A room's name on the wire, and its topic. */
export function roomSub(room: string): string {
  return `r:${room}`;
}

let last = { atMs: 0, text: new Date(0).toISOString() };

/** ISO 8601, UTC. Many publications have the same millisecond. */
export function timeText(atMs: number): string {
  if (last.atMs !== atMs) last = { atMs, text: new Date(atMs).toISOString() };
  return last.text;
}
