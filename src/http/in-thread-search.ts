import type { SearchRequest } from "../contract/search.ts";
import type { EngineRequest } from "../engine/calls.ts";
import type { InThreadEngine } from "../engine/in-thread.ts";
import { Problem } from "../problems.ts";
import type { Search } from "../search/search.ts";
import { getLogger } from "../telemetry/logs.ts";
import { createDirectSearch, type DirectSearch } from "./direct-search.ts";
import type { SearchRouteDeps } from "./routes/search.ts";

const log = getLogger("http");

/** Larger bodies are for the engines to read: it has room for a vector of 4,096 numbers. */
const bodyBytesMax = 64 * 1024;

/** A smaller body has no vector that would be worth it, and most likely words. */
const bodyBytesMin = 128;

/** So many in a row that had to wait, and there are several clients: one that is quick may meet the end of its last search. */
const waitedInARowMax = 3;

/** Where searches meet, more will: so long they are the engines', which take several at once. */
const crowdedMs = 20;

interface InThreadSearchDeps extends SearchRouteDeps {
  engine: Pick<InThreadEngine, "isOpen" | "took" | "close">;
  /** Whether no engine has anything to do. */
  isIdle: () => boolean;
}

/**
 * Searches by the caller's own vector in this thread where they come one after the other: one takes a third of a millisecond
 * here, and half as long again where another process has to be woken for it and to wake this one. Undefined for all that the
 * engines are for: searches that come while others run, and those that need words, a filter or a model.
 */
export function createInThreadSearch(deps: InThreadSearchDeps): DirectSearch {
  const { engine, isIdle, collections } = deps;
  /** Whether whoever comes now has been waiting for a search to end here. */
  let waited = false;
  let waitedInARow = 0;
  let crowdedUntilMs = 0;
  const isAlone = (): boolean => {
    const now = performance.now();
    waitedInARow = waited ? waitedInARow + 1 : 0;
    if (waitedInARow >= waitedInARowMax || !isIdle()) crowdedUntilMs = now + crowdedMs;
    return now >= crowdedUntilMs;
  };
  const search: Search = {
    async search(collection, request, options) {
      const startMs = performance.now();
      try {
        return await deps.search.search(collection, request, options);
      } catch (error) {
        // A fault of ours, perhaps in what is open here: engines have opened it by themselves.
        if (!(error instanceof Problem)) void engine.close(collection.key);
        throw error;
      } finally {
        engine.took(collection.key, performance.now() - startMs);
        waited = true;
        // What came meanwhile is read in the next turn of the event loop.
        setImmediate(() => setImmediate(() => (waited = false)));
      }
    },
  };
  const direct = createDirectSearch(
    { collections, search },
    (collection, asked) => isByVectorAlone(asked) && engine.isOpen(collection),
  );
  return (request) => {
    if (!isAlone() || !mayHaveVector(request)) return undefined;
    return Promise.resolve(direct(request)).catch(leaveToEngines);
  };
}

function leaveToEngines(error: unknown): undefined {
  log.error("search.in_thread_failed", { error });
}

function mayHaveVector({ body }: EngineRequest): boolean {
  const bytes = body?.byteLength ?? 0;
  return bytes >= bodyBytesMin && bytes <= bodyBytesMax;
}

function isByVectorAlone(asked: SearchRequest): boolean {
  const { vector, query, mode = "semantic", filter, facets, explain = false } = asked;
  const isPlain = query === undefined && filter === undefined && facets === undefined && !explain;
  return vector !== undefined && mode === "semantic" && isPlain;
}
