import { limits } from "../limits.ts";
import type { Problem } from "../problems.ts";
import type {
  LiveStream,
  LostReason,
  Position,
  ReplayOptions,
  ReplayPage,
  Resume,
} from "../rooms/stream.ts";
import { subOf } from "./match-frames.ts";
import type { MatcherThread } from "./matcher-thread.ts";
import type { StandingQuery } from "./standing-query.ts";

export interface QueryStreamOptions {
  query: StandingQuery;
  /** Of the database: offsets are its change numbers. */
  epoch: string;
  head: () => number;
  ended: () => Problem | undefined;
  /** Documents that left the query's matches up to this change are not known. */
  knownFrom: () => number;
  /** @throws Problem `engine_lost` while there is none */
  matcher: () => MatcherThread;
}

/**
 * A standing query as a stream. It keeps no past: a replay scores the documents again that changed meanwhile, so it has the
 * last change of each and nothing of those before it. `history` gives nothing, since a search does that.
 */
export function createQueryStream(options: QueryStreamOptions): LiveStream {
  const { query, epoch, head, ended, matcher } = options;
  const { hash } = query;
  /** How many documents are to be looked at, or why they cannot be. */
  const replayOf = async (since: Position): Promise<number | LostReason> => {
    if (since.epoch !== epoch) return "epoch_changed";
    const upTo = head();
    if (since.offset > upTo) return "ahead";
    if (since.offset === upTo) return 0;
    if (since.offset < options.knownFrom()) return "too_old";
    const count = await matcher().call("countChanges", { hash, after: since.offset, upTo });
    return count > limits.standingChangesMax ? "too_old" : count;
  };
  const readOnce = ({ since, ...range }: ReplayOptions): Promise<ReplayPage> =>
    matcher().call("read", { hash, ...range, since: since ?? range.after });
  return {
    sub: subOf(hash),
    head,
    ended,
    async resume({ since }): Promise<Resume> {
      const replay = since === undefined ? undefined : await replayOf(since);
      const offset = head();
      if (since !== undefined && typeof replay === "number") {
        return { epoch, offset, recovered: true, after: since.offset, replay };
      }
      const lost = { epoch, offset, recovered: false, after: offset, replay: 0 };
      return typeof replay === "string" ? { ...lost, reason: replay } : lost;
    },
    async read(range): Promise<ReplayPage> {
      let page: ReplayPage = { frames: [], upTo: range.after };
      // Pages without a match are passed over here: who asked has nothing to do with them.
      while (page.frames.length === 0 && page.upTo < range.upTo) {
        page = await readOnce({ since: range.after, ...range, after: page.upTo });
      }
      return page;
    },
  };
}
