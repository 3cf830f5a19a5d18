import { describe, expect, test } from "bun:test";
import {
  planBuild,
  planCompaction,
  sealSizesDefault as sizes,
  type SegmentSize,
} from "../../../src/segments/merge-policy.ts";

/** Rows that come no faster than a delta may fill. */
const steady = { deltaBytes: 0, deltaMs: 5000, sizes };

/** Feeds rows in, builds whatever is due, and tells the segments and the rows written in all. */
function simulate(rows: number, step: number): { segments: SegmentSize[]; written: number } {
  let segments: SegmentSize[] = [];
  let deltaRows = 0;
  let written = 0;
  for (let added = 0; added < rows; added += step) {
    deltaRows += step;
    const plan = planBuild({
      deltaRows,
      ...steady,
      segments,
      idle: false,
    });
    if (plan === undefined) continue;
    const merged = segments.filter((_, at) => plan.merge.includes(at));
    const size = merged.reduce((sum, one) => sum + one.rows, plan.seal ? deltaRows : 0);
    segments = [...segments.filter((_, at) => !plan.merge.includes(at)), { rows: size, dead: 0 }];
    if (plan.seal) deltaRows = 0;
    written += size;
  }
  return { segments, written };
}

describe("the merge policy", () => {
  test("keeps a million rows in at most 8 segments, and writes a row about ten times", () => {
    for (const step of [100, 4096, 10_000, 60_000]) {
      const { segments, written } = simulate(1_000_000, step);
      expect(segments.length).toBeLessThanOrEqual(8);
      expect(Math.max(...segments.map(({ rows }) => rows))).toBeLessThanOrEqual(sizes.segmentRows);
      expect(written / 1_000_000).toBeLessThan(12);
    }
  });

  test("does nothing where nothing is due", () => {
    const segments = [{ rows: 200_000, dead: 10 }];
    expect(planBuild({ deltaRows: 4095, ...steady, segments, idle: false })).toBeUndefined();
    expect(planBuild({ deltaRows: 0, ...steady, segments, idle: true })).toBeUndefined();
    expect(
      planCompaction({
        deltaRows: 0,
        ...steady,
        segments: [{ rows: 9, dead: 0 }],
        sizes,
        idle: true,
      }),
    ).toBeUndefined();
  });

  test("seals a delta of few large rows, and a small one while nothing else is going on", () => {
    const segments: SegmentSize[] = [];
    const large = {
      deltaRows: 100,
      deltaBytes: sizes.deltaBytes,
      deltaMs: 5000,
      segments,
      sizes,
      idle: false,
    };
    expect(planBuild(large)).toEqual({ seal: true, merge: [] });
    const small = { deltaRows: 600, deltaBytes: 1000, deltaMs: 5000, segments, sizes };
    expect(planBuild({ ...small, idle: false })).toBeUndefined();
    expect(planBuild({ ...small, idle: true })).toEqual({ seal: true, merge: [] });
  });

  test("lets rows that come fast wait for more", () => {
    const situation = { deltaBytes: 0, segments: [], sizes, idle: false };
    const fast = { ...situation, deltaMs: sizes.fillMs - 1 };
    const seals = { seal: true, merge: [] };
    expect(planBuild({ ...fast, deltaRows: 4 * sizes.deltaRows - 1 })).toBeUndefined();
    expect(planBuild({ ...fast, deltaRows: 4 * sizes.deltaRows })).toEqual(seals);
    expect(planBuild({ ...fast, deltaRows: sizes.deltaRows, idle: true })).toEqual(seals);
    const slow = { ...situation, deltaMs: sizes.fillMs };
    expect(planBuild({ ...slow, deltaRows: sizes.deltaRows })).toEqual(seals);
  });

  test("writes a segment anew once a fifth of it is dead", () => {
    const segments = [
      { rows: 200_000, dead: 40_000 },
      { rows: 50_000, dead: 10_001 },
    ];
    expect(planBuild({ deltaRows: 5, ...steady, segments, idle: false })).toEqual({
      seal: false,
      merge: [1],
    });
  });

  test("takes larger segments along while nothing else is going on", () => {
    const segments = [
      { rows: 100_000, dead: 0 },
      { rows: 20_000, dead: 0 },
    ];
    expect(planBuild({ deltaRows: 0, ...steady, segments, idle: false })).toBeUndefined();
    expect(planBuild({ deltaRows: 0, ...steady, segments, idle: true })?.merge).toEqual([0, 1]);
  });

  test("compacts to as few segments as fit, and ends", () => {
    let segments: SegmentSize[] = [250_000, 200_000, 60_000, 4000, 300].map((rows) => ({
      rows,
      dead: rows / 100,
    }));
    let deltaRows = 17;
    let rounds = 0;
    for (; rounds < 20; rounds++) {
      const plan = planCompaction({
        deltaRows,
        ...steady,
        segments,
        idle: true,
      });
      if (plan === undefined) break;
      const merged = segments.filter((_, at) => plan.merge.includes(at));
      const rows = merged.reduce(
        (sum, one) => sum + one.rows - one.dead,
        plan.seal ? deltaRows : 0,
      );
      segments = [...segments.filter((_, at) => !plan.merge.includes(at)), { rows, dead: 0 }];
      if (plan.seal) deltaRows = 0;
    }
    expect(rounds).toBeLessThan(8);
    expect(deltaRows).toBe(0);
    expect(segments.length).toBeLessThanOrEqual(3);
    expect(segments.every(({ dead }) => dead === 0)).toBe(true);
  });
});
