import { describe, expect, test } from "bun:test";
import { limits } from "../../../src/limits.ts";
import { parseFieldPath, parseFilter } from "../../../src/store/filter.ts";
import { problemOf } from "../problems/problem-of.ts";

/** A filter inside `depth` of `$not`. */
function nested(depth: number): unknown {
  let filter: unknown = { lap: 1 };
  for (let level = 0; level < depth; level++) filter = { $not: filter };
  return filter;
}

const conditions = (count: number): unknown => ({
  $and: Array.from({ length: count - 1 }, () => ({ lap: 1 })),
});

describe("parseFilter", () => {
  test("reads equality, operators and logic into one tree", () => {
    expect(parseFilter({ lap: 3 })).toEqual({ kind: "in", path: ["lap"], values: [3] });
    expect(parseFilter({ "car.team": { $ne: null } })).toEqual({
      kind: "not",
      filter: { kind: "in", path: ["car", "team"], values: [null] },
    });
    expect(
      parseFilter({
        lap: { $gte: 1, $lt: 9 },
        $or: [{ wet: true }, { $not: { tags: { $contains: "x" } } }],
      }),
    ).toEqual({
      kind: "and",
      filters: [
        {
          kind: "and",
          filters: [
            { kind: "compare", path: ["lap"], operator: "$gte", value: 1 },
            { kind: "compare", path: ["lap"], operator: "$lt", value: 9 },
          ],
        },
        {
          kind: "or",
          filters: [
            { kind: "in", path: ["wet"], values: [true] },
            { kind: "not", filter: { kind: "contains", path: ["tags"], value: "x" } },
          ],
        },
      ],
    });
  });

  test("takes an empty object for a filter that all match", () => {
    expect(parseFilter({})).toEqual({ kind: "and", filters: [] });
  });

  test.each([
    ["text", "filter", "must be an object"],
    [null, "filter", "must be an object"],
    [[], "filter", "must be an object"],
    [{ $and: {} }, "filter.$and", "must be a list of filters"],
    [{ $or: [] }, "filter.$or", "must be a list of filters"],
    [{ $and: [{ lap: 1 }, 7] }, "filter.$and", "must be an object"],
    [{ $not: [] }, "filter.$not", "must be an object"],
    [{ $nor: [] }, "filter.$nor", "is not one of $and, $or, $not, or a field"],
    [{ lap: {} }, "filter.lap", "has no operator"],
    [{ lap: { $near: 1 } }, "filter.lap.$near", "is not an operator"],
    [{ lap: { gte: 1 } }, "filter.lap.gte", "is not an operator"],
    [{ lap: [1] }, "filter.lap", "must be text, a finite number, true, false or null"],
    [{ lap: { $in: 1 } }, "filter.lap.$in", "must be a list"],
    [{ lap: { $nin: [[1]] } }, "filter.lap.$nin", "must be text, a finite number"],
    [{ lap: { $gt: true } }, "filter.lap.$gt", "must be text or a finite number"],
    [{ lap: { $lte: null } }, "filter.lap.$lte", "must be text or a finite number"],
    [{ lap: { $eq: Infinity } }, "filter.lap.$eq", "must be text, a finite number"],
    [{ lap: { $exists: 1 } }, "filter.lap.$exists", "must be true or false"],
    [{ lap: { $contains: {} } }, "filter.lap.$contains", "must be text, a finite number"],
    [{ lap: "\ud800" }, "filter.lap", "must be text"],
    [{ "": 1 }, "filter.…", "is not a usable field name"],
    [{ "a..b": 1 }, "filter.a..b", "is not a usable field name"],
    [{ $not: { wet: { $or: [] } } }, "filter.$not.wet.$or", "is not an operator"],
  ])("refuses %j and names the place %s", async (input, place, sentence) => {
    const problem = await problemOf(() => parseFilter(input));
    expect(problem.code).toBe("invalid_filter");
    expect(problem.errors).toEqual([{ field: place, message: expect.stringContaining(sentence) }]);
    expect(problem.detail).toStartWith(`${place} ${sentence}`);
  });

  test.each(['a"b', "a\\b", "a\0b", "\ud800", "<script>", "x".repeat(300), "naïve\nname"])(
    "does not show the name %j back",
    async (name) => {
      const refused = [{ [name]: { $in: 1 } }, { lap: { [name]: 1 } }, { [`$${name}`]: 1 }];
      for (const input of refused) {
        const problem = await problemOf(() => parseFilter(input));
        expect(problem.detail).not.toContain(name);
        expect(problem.detail).toContain("…");
        expect(JSON.stringify(problem.errors)).not.toContain(name);
      }
    },
  );

  test("takes the deepest filter allowed and refuses one level more", async () => {
    expect(() => parseFilter(nested(limits.filterDepthMax))).not.toThrow();
    const problem = await problemOf(() => parseFilter(nested(limits.filterDepthMax + 1)));
    expect(problem.detail).toContain(`deeper than ${limits.filterDepthMax} levels`);
  });

  test("takes as many conditions as are allowed and refuses one more", async () => {
    expect(() => parseFilter(conditions(limits.filterNodesMax))).not.toThrow();
    const problem = await problemOf(() => parseFilter(conditions(limits.filterNodesMax + 1)));
    expect(problem.detail).toContain(`more than ${limits.filterNodesMax} `);
  });

  test("takes as many values as are allowed and refuses one more", async () => {
    const values = Array.from({ length: limits.filterValuesMax }, (_, index) => index);
    expect(() => parseFilter({ lap: { $in: values } })).not.toThrow();
    const problem = await problemOf(() => parseFilter({ lap: { $in: [...values, 1] } }));
    expect(problem.code).toBe("invalid_filter");
  });

  test("bounds a field's name in bytes, not letters", async () => {
    const bytes = limits.fieldPathBytesMax;
    expect(parseFieldPath("é".repeat(bytes / 2))).toEqual(["é".repeat(bytes / 2)]);
    expect((await problemOf(() => parseFieldPath("é".repeat(bytes / 2 + 1)))).code).toBe(
      "invalid_filter",
    );
  });
});
