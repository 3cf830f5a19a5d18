import type { StoreRead } from "../store/store.ts";
import { createMatchData, leaveFrame, matchFrame } from "./match-frames.ts";
import type { ReadMatches, ReadPage } from "./matcher-messages.ts";
import { matchOne, type PreparedQuery } from "./prepare-query.ts";
import {
  endOf,
  type ChangeSource,
  type OpenedChange,
  type RecentDocuments,
} from "./recent-documents.ts";
import { tellsLeave } from "./standing-query.ts";

/** Documents scored in one page: a few milliseconds. */
const PAGE_DOCUMENTS = 128;

export interface ReplaySource extends ChangeSource {
  query: PreparedQuery;
}

/** A frame of the past and the change that it is of. */
interface Dated {
  sequence: number;
  frame: string;
}

/**
 * What a query would have told of some changes: the documents whose last change is among them are scored again, and those
 * that left are told from what is kept of them. In the order of the changes; a page may have no frame and more to come.
 */
export async function readReplay(
  { store, recent }: { store: StoreRead; recent: RecentDocuments },
  source: ReplaySource,
  range: ReadMatches,
): Promise<ReadPage> {
  const { query } = source;
  const { after, upTo } = range;
  const limit = PAGE_DOCUMENTS;
  const page = await recent.read(source, { after, upTo, limit });
  const left = tellsLeave(query)
    ? await store.standingLeft(query.hash, { after, upTo, limit })
    : [];
  // Whichever of the two lists ends early ends the page.
  const end = Math.min(page.upTo, endOf(left, { upTo, limit }));
  const frames = [
    ...matchesIn(page.changes, source, range),
    ...left.map(({ documentId, sequence }) => ({
      sequence,
      frame: leaveFrame(query.hash, { id: documentId, sequence }, true),
    })),
  ];
  const inOrder = frames
    .filter(({ sequence }) => sequence <= end)
    .toSorted((a, b) => a.sequence - b.sequence);
  return cut(inOrder, { ...range, upTo: end });
}

function matchesIn(
  changes: readonly OpenedChange[],
  { query }: ReplaySource,
  { since }: ReadMatches,
): Dated[] {
  return changes.flatMap(({ id, sequence, inserted, opened }) => {
    const event = inserted > since ? "insert" : "update";
    if (opened === undefined || !query.on.includes(event)) return [];
    const match = matchOne(query, opened);
    if (match === undefined) return [];
    const { score } = match;
    const data = createMatchData(opened).of(match);
    const { hash } = query;
    const frame = { hash, documentId: id, sequence, event, score, data, replay: true } as const;
    return [{ sequence, frame: matchFrame(frame) }];
  });
}

/** As many as fit, and at least one. */
function cut(
  dated: readonly Dated[],
  { framesMax, bytesMax, upTo }: Pick<ReadMatches, "framesMax" | "bytesMax" | "upTo">,
): ReadPage {
  let bytes = 0;
  const end = dated.findIndex(({ frame }, index) => {
    bytes += Buffer.byteLength(frame);
    return index > 0 && (index >= framesMax || bytes > bytesMax);
  });
  const given = end === -1 ? dated : dated.slice(0, end);
  const frames = given.map(({ frame }) => frame);
  return { frames, upTo: end === -1 ? upTo : (given.at(-1)?.sequence ?? upTo) };
}
