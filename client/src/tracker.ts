import type { MatchFrame } from "./frames.ts";

/** What a frame is to a reader: the next one, one that it has had, or one after a hole. */
export type Verdict = "new" | "seen" | "hole";

/** Offsets of a room are dense, so any jump is loss. `last` is undefined before the first one. */
export function judgeOffset(last: number | undefined, offset: number): Verdict {
  if (last === undefined || offset === last + 1) return "new";
  return offset <= last ? "seen" : "hole";
}

/** Documents remembered for duplicates: a replay repeats what stood around the loss, not the whole past. */
const DOCUMENTS_MAX = 1024;

/** The last version told of each of the latest documents. Offsets of a query are sparse and prove nothing. */
export class SeenVersions {
  readonly #told = new Map<string, string>();

  /** True the first time. A document that leaves may do so at the version that came in. */
  isNew({ doc, version, event }: Pick<MatchFrame, "doc" | "version" | "event">): boolean {
    const told = `${version}${event === "leave" ? " left" : ""}`;
    if (this.#told.get(doc) === told) return false;
    this.#told.delete(doc);
    this.#told.set(doc, told);
    if (this.#told.size > DOCUMENTS_MAX) {
      for (const oldest of this.#told.keys()) {
        this.#told.delete(oldest);
        break;
      }
    }
    return true;
  }
}
