import { expect, test } from "bun:test";
import fc from "fast-check";
import { judgeOffset, SeenVersions } from "../../client/src/tracker.ts";

test("of any repeated and reordered offsets a reader takes each once and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 200 }), (offsets) => {
      let last: number | undefined;
      const taken: number[] = [];
      for (const offset of offsets) {
        const verdict = judgeOffset(last, offset);
        if (verdict !== "new") continue;
        expect(last === undefined || offset === last + 1).toBe(true);
        last = offset;
        taken.push(offset);
      }
      expect(taken).toEqual(taken.map((_, index) => (taken[0] ?? 0) + index));
    }),
    { seed: 20_260_101 },
  );
});

test("a jump is a hole, and what is not after the last one was seen", () => {
  expect(judgeOffset(undefined, 7)).toBe("new");
  expect(judgeOffset(7, 8)).toBe("new");
  expect(judgeOffset(7, 9)).toBe("hole");
  expect(judgeOffset(7, 7)).toBe("seen");
  expect(judgeOffset(7, 3)).toBe("seen");
});

test("a document's version is told once, its next one again, and its leaving too", () => {
  const seen = new SeenVersions();
  expect(seen.isNew({ doc: "a", version: 1, event: "insert" })).toBe(true);
  expect(seen.isNew({ doc: "a", version: 1, event: "update" })).toBe(false);
  expect(seen.isNew({ doc: "b", version: 1, event: "insert" })).toBe(true);
  expect(seen.isNew({ doc: "a", version: 2, event: "update" })).toBe(true);
  expect(seen.isNew({ doc: "a", version: 2, event: "leave" })).toBe(true);
  expect(seen.isNew({ doc: "a", version: 2, event: "leave" })).toBe(false);
});

test("only the latest thousand documents are remembered", () => {
  const seen = new SeenVersions();
  for (let n = 0; n < 1025; n++) seen.isNew({ doc: `d${n}`, version: 1, event: "insert" });
  expect(seen.isNew({ doc: "d1", version: 1, event: "insert" })).toBe(false);
  expect(seen.isNew({ doc: "d0", version: 1, event: "insert" })).toBe(true);
});
