import { describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildHere, type RunBuild } from "../../../src/segments/build.ts";
import { SegmentSet } from "../../../src/segments/segment-set.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { liveKeys, numberKind, type NumberDelta, type NumberSegment } from "./number-kind.ts";

const SIZES = { deltaRows: 10, deltaBytes: 1e9, fillMs: 0, segmentRows: 200 };

type Set_ = SegmentSet<NumberSegment, NumberDelta>;

interface OpenOptions {
  run?: RunBuild;
  sealed?: number[];
  /** Keys that are compared with those of the database before background work begins. */
  database?: readonly number[];
}

function open(folder: string, options: OpenOptions = {}): Set_ {
  const kind = numberKind();
  const set = new SegmentSet({
    folder: join(folder, "1", "numbers"),
    kind,
    epoch: "e",
    sequenceMax: Infinity,
    run: options.run ?? buildHere(kind),
    sizes: SIZES,
    onSealed: (sequence) => options.sealed?.push(sequence),
  });
  if (set.incomplete && options.database !== undefined) {
    const comparison = set.reconcile();
    const missing = options.database.filter((key) => !comparison.see(key));
    for (const key of missing) set.parts().active.add(key);
    comparison.finish();
  }
  set.start();
  return set;
}

/** Adds keys one by one, each a change of its own number. */
function add(set: Set_, from: number, to: number): void {
  for (let key = from; key <= to; key++) {
    set.parts().active.add(key);
    set.applied(key);
  }
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe("a segment set", () => {
  test("finds each row once at every moment, whatever is being sealed or merged", async () => {
    using dir = tempDir();
    await using set = open(dir.path);
    for (let key = 1; key <= 500; key++) {
      add(set, key, key);
      expect(set.size).toBe(key);
      if (key % 7 === 0) await new Promise(setImmediate);
      if (key % 50 === 0) expect(liveKeys(set.parts())).toEqual(range(1, key));
    }
    await set.settled();
    expect(liveKeys(set.parts())).toEqual(range(1, 500));
    const { segments, unsealed } = set.report();
    expect(segments).toBeLessThanOrEqual(8);
    expect(unsealed).toBeLessThan(SIZES.deltaRows);
  });

  test("keeps what was removed away, also while it is being built in", async () => {
    using dir = tempDir();
    const begun = Promise.withResolvers<void>();
    const kind = numberKind();
    const gate = Promise.withResolvers<void>();
    const run: RunBuild = async (job, signal) => {
      begun.resolve();
      await gate.promise;
      return buildHere(kind)(job, signal);
    };
    await using set = open(dir.path, { run });
    add(set, 1, 10);
    await begun.promise;
    expect([set.remove(3), set.remove(3), set.has(3), set.has(4)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    gate.resolve();
    await set.settled();
    expect(set.remove(4)).toBe(true);
    expect(liveKeys(set.parts())).toEqual([1, 2, 5, 6, 7, 8, 9, 10]);
    expect(set.report()).toMatchObject({ segments: 1, dead: 2, live: 8, unsealed: 0 });
  });

  test("a key that comes again after its removal is found once", async () => {
    using dir = tempDir();
    await using set = open(dir.path);
    add(set, 1, 10);
    await set.settled();
    set.remove(5);
    add(set, 5, 5);
    expect(liveKeys(set.parts())).toEqual(range(1, 10));
    await set.compact();
    expect(liveKeys(set.parts())).toEqual(range(1, 10));
    expect(set.report()).toMatchObject({ segments: 1, dead: 0 });
  });

  test("is the same after a restart, but for the delta, whose changes it asks for", async () => {
    using dir = tempDir();
    {
      await using set = open(dir.path);
      add(set, 1, 10);
      await set.settled();
      set.remove(2);
      add(set, 11, 14);
    }
    await using again = open(dir.path);
    expect(again.incomplete).toBe(false);
    expect(again.sequence).toBe(10);
    expect(liveKeys(again.parts())).toEqual([1, ...range(3, 10)]);
  });

  test("tells the change up to which a start needs no log, once that is on the disk", async () => {
    using dir = tempDir();
    const sealed: number[] = [];
    await using set = open(dir.path, { sealed });
    add(set, 1, 12);
    await set.settled();
    expect(sealed.at(-1)).toBeLessThanOrEqual(12);
    await set.compact();
    expect(sealed.at(-1)).toBe(12);
  });

  test("writes a segment with many dead rows anew, and leaves no file of the old one", async () => {
    using dir = tempDir();
    await using set = open(dir.path);
    add(set, 1, 60);
    await set.compact();
    for (let key = 1; key <= 20; key++) set.remove(key);
    set.applied(61);
    await set.settled();
    expect(set.report()).toMatchObject({ segments: 1, dead: 0, live: 40 });
    const files = readdirSync(join(dir.path, "1", "numbers"));
    expect(files.filter((name) => name.endsWith(".numbers"))).toHaveLength(1);
    expect(files).toHaveLength(2);
  });

  test("an index whose every row was removed has no segment", async () => {
    using dir = tempDir();
    await using set = open(dir.path);
    add(set, 1, 30);
    await set.settled();
    for (let key = 1; key <= 30; key++) set.remove(key);
    await set.compact();
    expect(set.report()).toMatchObject({ segments: 0, live: 0, dead: 0, diskBytes: 0 });
    expect(readdirSync(join(dir.path, "1", "numbers"))).toEqual(["manifest.json"]);
  });

  test("goes on answering when builds fail, and seals once they work", async () => {
    using dir = tempDir();
    const kind = numberKind();
    let failing = true;
    const run: RunBuild = (job, signal) =>
      failing ? Promise.reject(new Error("no room")) : buildHere(kind)(job, signal);
    await using set = open(dir.path, { run });
    add(set, 1, 15);
    await set.settled();
    expect(set.report()).toMatchObject({ failures: 1, segments: 0, live: 15 });
    expect(liveKeys(set.parts())).toEqual(range(1, 15));
    failing = false;
    await set.compact();
    expect(set.report()).toMatchObject({ failures: 0, segments: 1, unsealed: 0 });
    expect(liveKeys(set.parts())).toEqual(range(1, 15));
  });

  test("closing ends a build that is under way, and nothing is lost by it", async () => {
    using dir = tempDir();
    const started = Promise.withResolvers<void>();
    const run: RunBuild = (_job, signal) => {
      started.resolve();
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => reject(new Error("ended")));
      return promise;
    };
    {
      await using set = open(dir.path, { run });
      add(set, 1, 10);
      await started.promise;
    }
    await using again = open(dir.path);
    expect([again.sequence, again.incomplete]).toEqual([0, true]);
    expect(readdirSync(join(dir.path, "1", "numbers"))).toEqual([]);
  });

  test("comparing keys with the database tells what is missing and buries what is too much", async () => {
    using dir = tempDir();
    await using set = open(dir.path);
    add(set, 1, 25);
    await set.compact();
    const comparison = set.reconcile();
    const missing = [5, 6, 7, 30].filter((key) => !comparison.see(key));
    expect(missing).toEqual([30]);
    expect(comparison.finish()).toBe(22);
    expect(liveKeys(set.parts())).toEqual([5, 6, 7]);
  });

  test("builds one thing at a time, whoever asks for it at once", async () => {
    using dir = tempDir();
    const kind = numberKind();
    let running = 0;
    const run: RunBuild = async (job, signal) => {
      expect(++running).toBe(1);
      const built = await buildHere(kind)(job, signal);
      running--;
      return built;
    };
    await using set = open(dir.path, { run });
    add(set, 1, 9);
    const asked = [set.compact(), set.seal(), set.compact(), set.seal()];
    add(set, 10, 25);
    await Promise.all([...asked, set.compact()]);
    expect(liveKeys(set.parts())).toEqual(range(1, 25));
    expect(set.report()).toMatchObject({ failures: 0, segments: 1, unsealed: 0 });
  });

  test("asks again for what was lost until that is sealed, whatever is written down meanwhile", async () => {
    using dir = tempDir();
    {
      await using set = open(dir.path);
      add(set, 1, 60);
      await set.compact();
    }
    const folder = join(dir.path, "1", "numbers");
    const [lost = ""] = readdirSync(folder).filter((name) => name.endsWith(".numbers"));
    {
      await using set = open(dir.path);
      add(set, 61, 70);
      await set.settled();
      expect(set.report().segments).toBe(2);
    }
    rmSync(join(folder, lost));
    const database = [...range(1, 5), ...range(61, 70)];
    {
      // Found in the database again, and in memory only; a removal alone is reason to write a manifest.
      await using set = open(dir.path, { database });
      expect([set.incomplete, set.size]).toEqual([true, 15]);
      expect(set.remove(65)).toBe(true);
      set.applied(71);
    }
    {
      await using set = open(dir.path, { database: database.filter((key) => key !== 65) });
      expect(set.sequence === 0 || set.incomplete).toBe(true);
      for (const key of range(1, 5)) if (!set.has(key)) set.parts().active.add(key);
      set.applied(71);
      await set.seal();
    }
    await using again = open(dir.path);
    expect([again.incomplete, again.sequence]).toEqual([false, 71]);
    expect(liveKeys(again.parts())).toEqual(database.filter((key) => key !== 65));
  });
});
