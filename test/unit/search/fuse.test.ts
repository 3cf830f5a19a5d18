import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fuse, type Ranked, type Sides } from "../../../src/search/fuse.ts";

const SEED = 1_971;
const RUNS = { seed: SEED, numRuns: 300 };

/** One side: whole scores, best first, ties by unit, each unit once. */
const side: fc.Arbitrary<Ranked[]> = fc
  .uniqueArray(
    fc.record({ unit: fc.integer({ min: 1, max: 12 }), score: fc.integer({ min: -50, max: 50 }) }),
    {
      selector: ({ unit }) => unit,
      maxLength: 10,
    },
  )
  .map((all) =>
    all
      .map((one) => ({ ...one, chunkKey: one.unit * 10 }))
      .sort((a, b) => b.score - a.score || a.unit - b.unit),
  );
const sides: fc.Arbitrary<Sides> = fc.record({ semantic: side, keyword: side });
/** Powers of two and whole shifts: floating point makes no error with them. */
const scales = fc.constantFrom(0.25, 0.5, 1, 2, 8, 1024);
const shifts = fc.integer({ min: -1000, max: 1000 });
const weights = fc.constantFrom(0, 0.25, 0.5, 0.75, 1);
const methods = fc.constantFrom("weighted" as const, "rrf" as const);

const affine = (ranked: readonly Ranked[], scale: number, shift: number): Ranked[] =>
  ranked.map((one) => ({ ...one, score: one.score * scale + shift }));
const units = (list: readonly { unit: number }[]): number[] => list.map(({ unit }) => unit);

describe("fuse", () => {
  test("by either method keeps every unit of both sides once, best first, ties by unit", () => {
    fc.assert(
      fc.property(sides, methods, weights, (both, method, weight) => {
        const fused = fuse(both, { method, weight });
        const all = new Set(units([...both.semantic, ...both.keyword]));
        expect(units(fused).sort((a, b) => a - b)).toEqual([...all].sort((a, b) => a - b));
        for (const [index, one] of fused.slice(1).entries()) {
          const before = fused[index];
          if (before === undefined) throw new Error("there is one before each but the first");
          const inOrder =
            before.score > one.score || (before.score === one.score && before.unit < one.unit);
          expect(inOrder).toBe(true);
        }
      }),
      RUNS,
    );
  });

  test("by rank ignores the scale of scores", () => {
    fc.assert(
      fc.property(sides, weights, scales, shifts, (both, weight, scale, shift) => {
        const options = { method: "rrf", weight } as const;
        const plain = fuse(both, options);
        const scaled = fuse({ ...both, keyword: affine(both.keyword, scale, shift) }, options);
        expect(scaled.map(({ unit, score }) => [unit, score])).toEqual(
          plain.map(({ unit, score }) => [unit, score]),
        );
      }),
      RUNS,
    );
  });

  test("by weight gives scores from 0 to 1, whatever the scale of one side is", () => {
    fc.assert(
      fc.property(sides, weights, scales, shifts, (both, weight, scale, shift) => {
        const options = { method: "weighted", weight } as const;
        const plain = fuse(both, options);
        for (const { score } of plain) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
        }
        const scaled = fuse({ ...both, semantic: affine(both.semantic, scale, shift) }, options);
        expect(scaled.map(({ unit, score }) => [unit, score])).toEqual(
          plain.map(({ unit, score }) => [unit, score]),
        );
      }),
      RUNS,
    );
  });

  test("with all the weight on one side is that side's order", () => {
    fc.assert(
      fc.property(sides, methods, (both, method) => {
        for (const [weight, alone] of [
          [1, both.semantic],
          [0, both.keyword],
        ] as const) {
          const own = new Set(units(alone));
          const fused = units(fuse(both, { method, weight })).filter((unit) => own.has(unit));
          expect(fused).toEqual(units(alone));
        }
      }),
      RUNS,
    );
  });

  test("says what each side gave, and shares add up to the score", () => {
    fc.assert(
      fc.property(sides, methods, weights, (both, method, weight) => {
        for (const one of fuse(both, { method, weight })) {
          expect(one.semanticShare + one.keywordShare).toBeCloseTo(one.score, 12);
          for (const [ranked, rank, score] of [
            [both.semantic, one.semanticRank, one.semantic],
            [both.keyword, one.keywordRank, one.keyword],
          ] as const) {
            const index = ranked.findIndex(({ unit }) => unit === one.unit);
            expect(rank).toBe(index === -1 ? null : index + 1);
            expect(score).toBe(ranked[index]?.score ?? null);
          }
        }
      }),
      RUNS,
    );
  });

  test("by rank is the plain method at the weight 0.5: the sum of 1 / (60 + rank)", () => {
    const semantic = [
      { unit: 1, chunkKey: 10, score: 0.9 },
      { unit: 2, chunkKey: 20, score: 0.8 },
    ];
    const keyword = [{ unit: 2, chunkKey: 21, score: 7 }];
    const [first, second] = fuse({ semantic, keyword }, { method: "rrf", weight: 0.5 });
    expect(first).toMatchObject({ unit: 2, score: 1 / 62 + 1 / 61 });
    expect(second).toMatchObject({ unit: 1, score: 1 / 61 });
  });

  test("shows the chunk of the side that did more for the document", () => {
    const semantic = [
      { unit: 1, chunkKey: 10, score: 0.9 },
      { unit: 2, chunkKey: 20, score: 0.8 },
    ];
    const keyword = [
      { unit: 2, chunkKey: 21, score: 7 },
      { unit: 1, chunkKey: 11, score: 6 },
    ];
    const fused = fuse({ semantic, keyword }, { method: "weighted", weight: 0.5 });
    expect(fused.map(({ unit, chunkKey }) => [unit, chunkKey])).toEqual([
      [1, 10],
      [2, 21],
    ]);
  });

  test("counts a lone candidate, and candidates that are all alike, as their side's best", () => {
    const alike = [1, 2].map((unit) => ({ unit, chunkKey: unit, score: 0.3 }));
    const fused = fuse({ semantic: alike, keyword: [] }, { method: "weighted", weight: 0.25 });
    expect(fused.map(({ score }) => score)).toEqual([0.25, 0.25]);
  });
});
