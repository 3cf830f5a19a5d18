import { limits } from "../limits.ts";
import { Problem } from "../problems.ts";

/** A list's cursor: the last name that was shown, opaque to callers. */
export function encodeCursor(last: string): string {
  return Buffer.from(last, "utf8").toString("base64url");
}

/** @throws Problem `invalid_request` for text that `encodeCursor` did not make */
export function decodeCursor(cursor: string | undefined): string {
  if (cursor === undefined || cursor === "") return "";
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  if (encodeCursor(text) !== cursor) {
    throw new Problem("invalid_request", "The cursor is not one of ours.", {
      errors: [{ field: "query:cursor", message: "must be a next_cursor of this list" }],
    });
  }
  return text;
}

/** One page from a list that was read one item past it. */
export function toPage<T>(items: readonly T[], limit: number, nameOf: (item: T) => string) {
  const page = items.slice(0, limit);
  const last = page.at(-1);
  const more = items.length > limit && last !== undefined;
  return { items: page, next_cursor: more ? encodeCursor(nameOf(last)) : null };
}

/** Items of a page when the caller does not say. */
export function pageLimit(limit: number | undefined): number {
  return limit ?? limits.listLimitDefault;
}
