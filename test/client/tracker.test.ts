import { expect, test } from "bun:test";
import fc from "fast-check";
import { judgeOffset } from "../../client/src/tracker.ts";

test("of any repeated and reordered offsets a reader takes each once and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 200 }), (offsets) => {
      let last: number | undefined;
      const taken: number[] = [];
      for (const offset of offsets) {
        const verdict = judgeOffset({ last, dense: true }, offset);
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

test("a jump is a hole where offsets are dense, and what is not after the last one was seen", () => {
  const room = { last: 7, dense: true };
  expect(judgeOffset({ last: undefined, dense: true }, 7)).toBe("new");
  expect(judgeOffset(room, 8)).toBe("new");
  expect(judgeOffset(room, 9)).toBe("hole");
  const query = { last: 7, dense: false };
  expect(judgeOffset(query, 9)).toBe("new");
  for (const offset of [7, 3]) {
    expect(judgeOffset(room, offset)).toBe("seen");
    expect(judgeOffset(query, offset)).toBe("seen");
  }
});
