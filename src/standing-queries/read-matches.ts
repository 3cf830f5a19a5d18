import type { Matches } from "../contract/standing-queries.ts";
import { limits } from "../limits.ts";
import type { LiveStream, Position } from "../rooms/stream.ts";
import { matchBody } from "./webhook-message.ts";

/** A page of what a query's stream had to tell after a position, found by scoring again what changed since. */
export async function readMatches(
  stream: LiveStream,
  { since, limit }: { since: Position; limit: number },
): Promise<Matches> {
  const { epoch, recovered, reason, after } = await stream.resume({ since });
  const upTo = stream.head();
  if (!recovered) {
    const next = positionText({ epoch, offset: after });
    return { items: [], next, more: false, ...(reason === undefined ? {} : { lost: reason }) };
  }
  if (after >= upTo)
    return { items: [], next: positionText({ epoch, offset: after }), more: false };
  const bytesMax = limits.webhookRequestCharactersMax;
  const page = await stream.read({ after, upTo, framesMax: limit, bytesMax });
  return {
    items: page.frames.map(toMatch),
    next: positionText({ epoch, offset: page.upTo }),
    more: page.upTo < upTo,
  };
}

/** A position as one word: the id of an event. */
function positionText({ epoch, offset }: Position): string {
  return `${epoch}:${offset}`;
}

function toMatch(frame: string): Matches["items"][number] {
  const match: Matches["items"][number] = JSON.parse(matchBody(frame));
  return match;
}
