import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeCursor, encodeCursor, pageLimit, toPage } from "../../../src/http/cursor.ts";
import { limits } from "../../../src/limits.ts";
import { problemOf } from "../problems/problem-of.ts";

describe("a cursor", () => {
  test("read back is the name it was made of, and fits a query string as it is", () => {
    const names = fc.string({ unit: "binary" }).filter((name) => name.isWellFormed());
    fc.assert(
      fc.property(names, (name) => {
        const cursor = encodeCursor(name);
        expect(decodeCursor(cursor)).toBe(name);
        expect(cursor).toMatch(/^[\w-]*$/);
      }),
      { seed: 17, numRuns: 300 },
    );
  });

  test("that is missing or empty is the beginning", () => {
    expect([decodeCursor(undefined), decodeCursor("")]).toEqual(["", ""]);
  });

  test.each(["!", "a", "abc=", "YQ==", "a b", "_w", "7aCA", "é", "\0"])(
    "that we did not make is refused: %j",
    async (cursor) => {
      const problem = await problemOf(() => decodeCursor(cursor));
      expect(problem.code).toBe("invalid_request");
      expect(problem.errors.map(({ field }) => field)).toEqual(["query:cursor"]);
      expect(problem.detail).not.toContain(cursor);
    },
  );
});

describe("a page", () => {
  test("has a cursor only where there is more, and it leads on without gap or repeat", () => {
    const all = ["a", "b", "x", "y", "é"];
    const read: string[] = [];
    const pages: number[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const after = decodeCursor(cursor);
      const rest = all.filter((name) => name > after);
      const page: { items: string[]; next_cursor: string | null } = toPage(
        rest.slice(0, 3),
        2,
        (name) => name,
      );
      read.push(...page.items);
      pages.push(page.items.length);
      cursor = page.next_cursor;
    }
    expect(read).toEqual(all);
    expect(pages).toEqual([2, 2, 1]);
  });

  test("that is just full is the last one", () => {
    expect(toPage(["a", "b"], 2, (name) => name).next_cursor).toBeNull();
    expect(toPage([], 2, String)).toEqual({ items: [], next_cursor: null });
  });

  test("has the usual size where none is asked for", () => {
    expect([pageLimit(undefined), pageLimit(7)]).toEqual([limits.listLimitDefault, 7]);
  });
});
