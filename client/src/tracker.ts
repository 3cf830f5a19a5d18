/** What a frame is to a reader: the next one, one that it has had, or one after a hole. */
export type Verdict = "new" | "seen" | "hole";

/**
 * Offsets only grow, and where they are dense, as a room's are, any jump is loss. `last` is undefined before the first
 * one.
 */
export function judgeOffset(
  { last, dense }: { last: number | undefined; dense: boolean },
  offset: number,
): Verdict {
  if (last === undefined) return "new";
  if (offset <= last) return "seen";
  return dense && offset > last + 1 ? "hole" : "new";
}
