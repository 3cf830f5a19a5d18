import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FUSED_CANDIDATES, fuse, type Ranked, type Sides } from "../../../src/search/fuse.ts";

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
      .toSorted((a, b) => b.score - a.score || a.unit - b.unit),
  );
const sides: fc.Arbitrary<Sides> = fc.record({ semantic: side, keyword: side });
/** Powers of two and whole shifts: floating point makes no error with them. */
const scales = fc.constantFrom(0.25, 0.5, 1, 2, 8, 1024);
const shifts = fc.integer({ min: -1000, max: 1000 });
const weights = fc.constantFrom(0, 0.25, 0.5, 0.75, 1);
const methods = fc.constantFrom("weighted" as const, "rrf" as const);

const maps = fc.record({ scale: scales, shift: shifts });
const affine = (
  ranked: readonly Ranked[],
  { scale, shift }: { scale: number; shift: number },
): Ranked[] => ranked.map((one) => ({ ...one, score: one.score * scale + shift }));
const units = (list: readonly { unit: number }[]): number[] => list.map(({ unit }) => unit);

describe("fuse", () => {
  test("by either method keeps every unit of both sides once, best first", () => {
    fc.assert(
      fc.property(sides, methods, weights, (both, method, weight) => {
        const fused = fuse(both, { method, weight });
        const all = new Set(units([...both.semantic, ...both.keyword]));
        expect(units(fused).toSorted((a, b) => a - b)).toEqual([...all].toSorted((a, b) => a - b));
        const scores = fused.map(({ score }) => score);
        expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      }),
      RUNS,
    );
  });

  test("puts ties in the order of the semantic side, those that it did not find last", () => {
    fc.assert(
      fc.property(sides, methods, weights, (both, method, weight) => {
        const fused = fuse(both, { method, weight });
        const found = units(both.semantic);
        for (const score of new Set(fused.map((one) => one.score))) {
          const tied = units(fused.filter((one) => one.score === score));
          const own = tied.filter((unit) => found.includes(unit));
          expect(own).toEqual(found.filter((unit) => tied.includes(unit)));
          expect(tied.slice(0, own.length)).toEqual(own);
        }
      }),
      RUNS,
    );
  });

  test("by rank ignores the scale of scores", () => {
    fc.assert(
      fc.property(sides, weights, maps, (both, weight, map) => {
        const options = { method: "rrf", weight } as const;
        const plain = fuse(both, options);
        const scaled = fuse({ ...both, keyword: affine(both.keyword, map) }, options);
        expect(scaled.map(({ unit, score }) => [unit, score])).toEqual(
          plain.map(({ unit, score }) => [unit, score]),
        );
      }),
      RUNS,
    );
  });

  test("by weight gives scores from 0 to 1, whatever the scale of one side is", () => {
    fc.assert(
      fc.property(sides, weights, maps, (both, weight, map) => {
        const options = { method: "weighted", weight } as const;
        const plain = fuse(both, options);
        for (const { score } of plain) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
        }
        const scaled = fuse({ ...both, semantic: affine(both.semantic, map) }, options);
        expect(scaled.map(({ unit, score }) => [unit, score])).toEqual(
          plain.map(({ unit, score }) => [unit, score]),
        );
      }),
      RUNS,
    );
  });

  test("with all the weight on one side is that side's order, up to its own ties", () => {
    fc.assert(
      fc.property(sides, methods, (both, method) => {
        for (const [weight, alone] of [
          [1, both.semantic],
          [0, both.keyword],
        ] as const) {
          const scores = new Map(alone.map(({ unit, score }) => [unit, score]));
          const fused = units(fuse(both, { method, weight })).filter((unit) => scores.has(unit));
          expect(fused.map((unit) => scores.get(unit))).toEqual(alone.map(({ score }) => score));
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

  test("by weight lessens the keyword side by how far it can be trusted, and by rank does not", () => {
    const half = { weight: 0.5, keywordConfidence: 0.5 };
    const alone = { semantic: [], keyword: [{ unit: 1, chunkKey: 10, score: 7 }] };
    expect(fuse(alone, { method: "weighted", ...half })[0]?.score).toBe(0.25);
    expect(fuse(alone, { method: "rrf", ...half })[0]?.score).toBe(1 / 61);
    const other = { semantic: alone.keyword, keyword: [] };
    expect(fuse(other, { method: "weighted", ...half })[0]?.score).toBe(0.5);
  });

  test("gives no share to what lies behind the first candidates, and keeps its order", () => {
    const deep = Array.from({ length: FUSED_CANDIDATES + 50 }, (_, index) => {
      return { unit: 1000 - index, chunkKey: index, score: -index };
    });
    for (const method of ["weighted", "rrf"] as const) {
      const options = { method, weight: 0.5 };
      const fused = fuse({ semantic: deep, keyword: [] }, options);
      expect(units(fused)).toEqual(units(deep));
      expect(new Set(fused.slice(FUSED_CANDIDATES).map(({ score }) => score))).toEqual(
        new Set([0]),
      );
      const first = fuse({ semantic: deep.slice(0, FUSED_CANDIDATES), keyword: [] }, options);
      expect(fused.slice(0, FUSED_CANDIDATES)).toEqual(first);
    }
  });

  test("counts a lone candidate, and candidates that are all alike, as their side's best", () => {
    const alike = [1, 2].map((unit) => ({ unit, chunkKey: unit, score: 0.3 }));
    const fused = fuse({ semantic: alike, keyword: [] }, { method: "weighted", weight: 0.25 });
    expect(fused.map(({ score }) => score)).toEqual([0.25, 0.25]);
  });
});
