import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildHere, type RunBuild } from "../../../src/segments/build.ts";
import { hashText } from "../../../src/segments/files.ts";
import { DamagedSegment } from "../../../src/segments/open-stored.ts";
import { tempDir } from "../../support/temp-dir.ts";
import {
  ChangeLog,
  folderOf,
  keysOf,
  openFollower,
  openOwner,
  type Owner,
} from "./followed-world.ts";
import { numberKind } from "./number-kind.ts";

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** An owner, a follower that has heard of nothing yet, and the log between them. */
function open() {
  const dir = tempDir();
  const log = new ChangeLog();
  const owner = openOwner(dir.path, { onSealed: log.sealed });
  const follower = openFollower(dir.path);
  return {
    dir: dir.path,
    log,
    owner,
    follower,
    insert: (from: number, to: number) => {
      for (const key of range(from, to)) log.insert(owner, key);
    },
    refresh: () => follower.refresh(log.removedSince),
    async [Symbol.asyncDispose](): Promise<void> {
      await follower[Symbol.asyncDispose]();
      await owner[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

/** Names of the sealed segments' files. */
const filesOf = (dir: string): string[] =>
  readdirSync(folderOf(dir)).filter((name) => name.endsWith(".numbers"));

/** An index with two sealed segments of ten rows and its closed owner. */
async function prepare(dir: string): Promise<void> {
  await using owner = openOwner(dir, { segmentRows: 10 });
  for (const key of range(1, 20)) {
    owner.parts().active.add(key);
    owner.applied(key);
    await owner.settled();
  }
  expect(filesOf(dir)).toHaveLength(2);
}

describe("a followed set", () => {
  test("has what the log tells, and takes over what the owner seals in the place of that", async () => {
    await using world = open();
    const { log, owner, follower } = world;
    world.insert(1, 25);
    await log.follow(follower);
    expect(keysOf(follower)).toEqual(range(1, 25));
    expect(follower.report()).toMatchObject({ segments: 0, unsealed: 25, building: false });
    await owner.seal();
    expect(await world.refresh()).toBe(true);
    expect(keysOf(follower)).toEqual(range(1, 25));
    expect(follower.report()).toMatchObject({ unsealed: 0, live: 25 });
    expect(follower.parts().active.rows).toBe(0);
    expect(follower.parts().frozen).toEqual([]);
    expect([follower.size, follower.has(25), follower.has(26)]).toEqual([25, true, false]);
    expect(await world.refresh()).toBe(false);
  });

  test("keeps in memory what came after the manifest, and frees it with the next one", async () => {
    await using world = open();
    const { log, owner, follower } = world;
    world.insert(1, 10);
    await owner.settled();
    world.insert(11, 14);
    await log.follow(follower);
    await world.refresh();
    expect(keysOf(follower)).toEqual(range(1, 14));
    expect(follower.report()).toMatchObject({ segments: 1, live: 14 });
    expect(follower.parts().active.rows).toBe(0);
    await owner.seal();
    await world.refresh();
    expect(follower.report()).toMatchObject({ unsealed: 0, live: 14 });
    expect(follower.parts().frozen).toEqual([]);
  });

  test("keeps away what was removed after the manifest was written", async () => {
    await using world = open();
    const { log, owner, follower } = world;
    world.insert(1, 10);
    await owner.settled();
    await log.follow(follower);
    // Sealed as alive; the follower's own delta forgets it, the segment that it takes over must too.
    log.remove(owner, 4);
    await log.follow(follower);
    await world.refresh();
    expect(keysOf(follower)).toEqual([1, 2, 3, ...range(5, 10)]);
    expect([follower.has(4), follower.remove(4), follower.remove(5)]).toEqual([false, false, true]);
  });

  test("keeps away what was removed while the segment was being built", async () => {
    using dir = tempDir();
    const log = new ChangeLog();
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const run: RunBuild = async (job, signal) => {
      begun.resolve();
      await gate.promise;
      return buildHere(numberKind())(job, signal);
    };
    await using owner = openOwner(dir.path, { run, onSealed: log.sealed });
    await using follower = openFollower(dir.path);
    for (const key of range(1, 10)) log.insert(owner, key);
    await begun.promise;
    await log.follow(follower);
    log.remove(owner, 3);
    gate.resolve();
    await owner.settled();
    await follower.refresh(log.removedSince);
    await log.follow(follower);
    expect(keysOf(follower)).toEqual([1, 2, ...range(4, 10)]);
  });

  test("that is behind the manifest loses what was removed in what it skips: sealed, and in memory", async () => {
    await using world = open();
    const { log, owner, follower } = world;
    world.insert(1, 60);
    await owner.compact();
    await world.refresh();
    world.insert(61, 65);
    await log.follow(follower);
    // Too few to have the segment written anew, so both manifests name the same one.
    for (const key of [3, 62]) log.remove(owner, key);
    world.insert(66, 75);
    await owner.settled();
    expect(follower.sequence).toBe(65);
    log.trim();
    expect(log.trimmed).toBeGreaterThan(65);
    await log.follow(follower);
    expect(keysOf(follower)).toEqual(keysOf(owner));
    expect(keysOf(follower)).not.toContain(3);
    expect(keysOf(follower)).not.toContain(62);
  });

  test("serves on while the owner seals and merges, whenever it refreshes", async () => {
    await using world = open();
    const { log, owner, follower } = world;
    let refreshed = 0;
    for (const round of range(0, 29)) {
      world.insert(round * 30 + 1, round * 30 + 30);
      const merging = round % 3 === 0 ? owner.compact() : owner.settled();
      await log.follow(follower);
      if (await world.refresh()) refreshed++;
      expect(keysOf(follower)).toEqual(range(1, round * 30 + 30));
      await merging;
    }
    await owner.compact();
    await world.refresh();
    expect(refreshed).toBeGreaterThan(5);
    expect(follower.report()).toMatchObject({ segments: owner.report().segments, unsealed: 0 });
    expect(keysOf(follower)).toEqual(range(1, 900));
    // What the follower no longer serves is nobody's.
    expect(filesOf(world.dir)).toHaveLength(owner.report().segments);
  });

  test("closes what was merged away, and what it cannot use", async () => {
    await using world = open();
    const { owner, follower } = world;
    world.insert(1, 10);
    await owner.settled();
    await world.refresh();
    const [first] = follower.parts().sealed;
    world.insert(11, 40);
    await owner.compact();
    await world.refresh();
    expect(first?.segment.closed).toBe(true);
    const open_ = follower.parts().sealed.map(({ segment }) => segment);
    await follower[Symbol.asyncDispose]();
    expect(open_.map(({ closed }) => closed)).toEqual([true]);
    expect(follower.size).toBe(0);
  });

  test("cannot refresh where the log was cut off behind the manifest, and goes on as it was", async () => {
    await using world = open();
    const { log, owner, follower } = world;
    world.insert(1, 10);
    await owner.settled();
    await log.follow(follower);
    const refused = await follower
      .refresh(async () => undefined)
      .catch((reason: unknown) => reason);
    expect(refused).toBeInstanceOf(DamagedSegment);
    expect(keysOf(follower)).toEqual(range(1, 10));
    expect(await world.refresh()).toBe(true);
  });

  test("is the same when it is opened again, but for what was in memory", async () => {
    await using world = open();
    const { log, owner } = world;
    world.insert(1, 30);
    await owner.compact();
    log.remove(owner, 7);
    world.insert(31, 33);
    await using again = openFollower(world.dir, 2);
    expect([again.incomplete, again.suspicious, again.sequence]).toEqual([false, false, 30]);
    await log.follow(again);
    expect(keysOf(again)).toEqual(keysOf(owner));
  });

  test("of a folder that the owner has not come to is empty, and asks to be compared", async () => {
    using dir = tempDir();
    await using follower = openFollower(dir.path);
    expect([follower.incomplete, follower.size]).toEqual([true, 0]);
    expect(await follower.refresh(async () => [])).toBe(false);
    expect(readdirSync(folderOf(dir.path))).toEqual([]);
  });

  test("takes no manifest of another database's life", async () => {
    await using world = open();
    const { owner, follower, log } = world;
    world.insert(1, 10);
    await log.follow(follower);
    await owner.settled();
    const path = join(folderOf(world.dir), "manifest.json");
    const [text = ""] = readFileSync(path, "utf8").split("\n");
    const other = text.replace('"epoch":"e"', '"epoch":"other"');
    writeFileSync(path, `${other}\n${hashText(other)}\n`);
    expect(await world.refresh()).toBe(false);
    expect(keysOf(follower)).toEqual(range(1, 10));
  });
});

describe("a followed set over damaged files", () => {
  test("serves the segment that is whole, and leaves the other one to the owner", async () => {
    using dir = tempDir();
    await prepare(dir.path);
    const [name = ""] = filesOf(dir.path);
    const path = join(folderOf(dir.path), name);
    const bytes = readFileSync(path);
    bytes[17] = (bytes[17] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const before = readdirSync(folderOf(dir.path)).toSorted();
    await using follower = openFollower(dir.path);
    expect(follower.incomplete).toBe(true);
    expect(follower.suspicious).toBe(false);
    expect(follower.size).toBe(10);
    expect(readdirSync(folderOf(dir.path)).toSorted()).toEqual(before);
    expect(existsSync(join(dir.path, "quarantine"))).toBe(false);
    const comparison = follower.reconcile();
    const missing = range(1, 20).filter((key) => !comparison.see(key));
    expect(missing).toHaveLength(10);
    for (const key of missing) follower.parts().active.add(key);
    expect(comparison.finish()).toBe(0);
    expect(keysOf(follower)).toEqual(range(1, 20));
    // The owner has it open and knows of nothing, until it is opened again.
    const refused = await follower.refresh(async () => []).catch((reason: unknown) => reason);
    expect(refused).toBeInstanceOf(DamagedSegment);
    expect(keysOf(follower)).toEqual(range(1, 20));
  });

  test("names what ended its process, and the owner puts that aside", async () => {
    using dir = tempDir();
    await prepare(dir.path);
    const [suspect = ""] = filesOf(dir.path);
    // As it is left by a process that ended while a native library opened the file.
    writeFileSync(join(folderOf(dir.path), "opening-2.json"), suspect);
    {
      await using other = openFollower(dir.path, 1);
      expect([other.suspicious, other.size]).toEqual([false, 20]);
      await using follower = openFollower(dir.path, 2);
      expect([follower.suspicious, follower.incomplete, follower.size]).toEqual([true, true, 10]);
      expect(readdirSync(folderOf(dir.path))).toContain("suspect-2.json");
      expect(readdirSync(folderOf(dir.path))).not.toContain("opening-2.json");
    }
    await using owner: Owner = openOwner(dir.path);
    expect([owner.incomplete, owner.size]).toEqual([true, 10]);
    const [kept = ""] = readdirSync(join(dir.path, "quarantine"));
    expect(kept).toEndWith(suspect);
    expect(filesOf(dir.path)).not.toContain(suspect);
    // The file is gone, and so is the suspicion.
    expect(readdirSync(folderOf(dir.path))).not.toContain("suspect-2.json");
    await using again = openFollower(dir.path, 2);
    expect([again.suspicious, again.size]).toEqual([false, 10]);
  });
});

const SEED = 4711;

test(`owner and followers hold the same keys, whatever comes in which order (seed ${SEED})`, async () => {
  await using world = open();
  const { log, owner } = world;
  let state = SEED;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  let next = 1;
  let followers = [openFollower(world.dir, 2), openFollower(world.dir, 3)];
  const someKey = (): number => [...log.live][Math.floor(random() * log.live.size)] ?? 0;
  const someFollower = () => followers[Math.floor(random() * 2)] ?? world.follower;
  const steps: [number, () => unknown][] = [
    [8, () => log.insert(owner, next++)],
    [3, () => log.live.size > 0 && log.remove(owner, someKey())],
    [0.4, () => owner.seal()],
    [0.2, () => owner.compact()],
    // Not awaited: it goes on over the steps that come after it.
    [0.2, () => void owner.compact()],
    [1, () => someFollower().refresh(log.removedSince)],
    [1.5, () => log.follow(someFollower(), 1 + Math.floor(random() * 12))],
    [0.3, () => log.trim()],
    [0.5, () => new Promise(setImmediate)],
  ];
  const total = steps.reduce((sum, [weight]) => sum + weight, 0);
  for (const at of range(1, 3000)) {
    let pick = random() * total;
    const step = steps.find(([weight]) => (pick -= weight) < 0);
    await step?.[1]();
    if (at % 10 > 0) continue;
    for (const follower of [world.follower, ...followers]) {
      await log.follow(follower);
      expect(keysOf(follower)).toEqual(keysOf(owner));
      expect(follower.size).toBe(log.live.size);
    }
    if (at % 500 > 0) continue;
    // One of them is a process that was started anew.
    const [first, ...others] = followers;
    await first?.[Symbol.asyncDispose]();
    const fresh = openFollower(world.dir, 2);
    if (fresh.incomplete) compare(log, fresh);
    followers = [...others, fresh];
  }
  expect(log.trimmed).toBeGreaterThan(0);
  for (const follower of followers) await follower[Symbol.asyncDispose]();
});

/** What whoever follows does where a part is missing. */
function compare(log: ChangeLog, follower: ReturnType<typeof openFollower>): void {
  const comparison = follower.reconcile();
  const missing = [...log.live].filter((key) => !comparison.see(key));
  for (const key of missing) follower.parts().active.add(key);
  comparison.finish();
}
