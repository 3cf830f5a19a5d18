import { describe, expect, jest, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { BUILDER_CHILD_COMMAND } from "../../../src/engine/child-command.ts";
import { Builder } from "../../../src/engine/builder.ts";
import type { OwnerRole } from "../../../src/engine/collection-index.ts";
import { kindOf } from "../../../src/engine/index-kinds.ts";
import { verify } from "../../../src/maintenance/verify.ts";
import { canListChildren, childrenOf, onlyChildOf } from "../../support/child-processes.ts";
import { OWNER } from "../../support/engine.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import {
  answersOf,
  indexOf,
  numbered,
  openWorld,
  range,
  remove,
  WORLD,
  worldOf,
  write,
} from "./world.ts";

const builders = (): number[] => childrenOf(BUILDER_CHILD_COMMAND);
const documents = (from: number, to: number) => range(from, to).map((number) => numbered(number));

/** A world whose segments another process builds. */
async function openBuilt(folder: string, sealRows?: number) {
  const builder = new Builder();
  const role: OwnerRole = { ...OWNER, run: (job, signal) => builder.run(job, signal), sealRows };
  const opened = await openWorld(folder, { role });
  const collection = await opened.store.createCollection(WORLD);
  await opened.engine.openCollection(collection);
  const world = {
    ...opened,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await builder[Symbol.asyncDispose]();
    },
  };
  return { world, ...opened, collection, index: indexOf(opened.engine, collection) };
}

// The builder is found with ps.
describe.skipIf(!canListChildren)("segments built in a child", () => {
  test("are sealed as documents come, and found as if they had not been", async () => {
    using dir = tempDir();
    const { world, engine, owner, store, collection, index } = await openBuilt(dir.path, 100);
    await using _world = world;
    expect(builders()).toEqual([]);
    await write(store, collection, documents(0, 250));
    await remove(store, collection, range(0, 20));
    await eventually("both indexes are sealed", () =>
      index.report().segments >= 2 && !index.report().building ? true : undefined,
    );
    expect(builders()).toHaveLength(1);
    await remove(store, collection, range(20, 40));
    const built = await answersOf(engine, collection);
    await using other = await openHere();
    expect(built.words).toEqual(other.answers.words);
    expect(built.nearest).toEqual(other.answers.nearest);
    expect(await verify(store, owner)).toMatchObject({ ok: true });
  });

  test("end with the engine, and what they had begun is not left behind", async () => {
    using dir = tempDir();
    const { world, store, collection } = await openBuilt(dir.path, 100);
    await write(store, collection, documents(0, 100));
    await eventually("a build is under way", () => builders()[0]);
    await world[Symbol.asyncDispose]();
    expect(builders()).toEqual([]);
    const left = readdirSync(join(dir.path, "index"), { recursive: true }).map(String);
    expect(left.filter((name) => name.includes("building"))).toEqual([]);
    await using again = await openWorld(dir.path);
    expect(again.engine.vectorsOf(await worldOf(again))).toBe(100);
  });

  test("come later where the child is killed, and nothing is lost", async () => {
    using dir = tempDir();
    const { world, engine, owner, store, collection, index } = await openBuilt(dir.path);
    await using _world = world;
    await write(store, collection, documents(0, 50));
    await index.compact();
    const pid = onlyChildOf(BUILDER_CHILD_COMMAND);
    // Stopped, it has its job and cannot answer.
    process.kill(pid, "SIGSTOP");
    await write(store, collection, documents(50, 120));
    const before = await answersOf(engine, collection);
    const compacting = index.compact().catch((error: unknown) => error);
    await eventually("the build is under way", () => index.report().building || undefined);
    expect(await answersOf(engine, collection)).toEqual(before);
    process.kill(pid, "SIGKILL");
    expect(await compacting).toBeInstanceOf(Error);
    expect(index.report().failures).toBe(1);
    expect(await answersOf(engine, collection)).toEqual(before);
    await write(store, collection, documents(120, 130));
    await remove(store, collection, [50, 51, 1]);
    const changed = await answersOf(engine, collection);
    await index.compact();
    expect(index.report()).toMatchObject({ failures: 0, unsealed: 0, dead: 0 });
    expect(onlyChildOf(BUILDER_CHILD_COMMAND)).not.toBe(pid);
    expect(await answersOf(engine, collection)).toEqual(changed);
    expect(await verify(store, owner)).toMatchObject({ ok: true });
  });

  test("of a collection that is dropped meanwhile are given up", async () => {
    using dir = tempDir();
    const { world, engine, store, collection, index } = await openBuilt(dir.path);
    await using _world = world;
    await write(store, collection, documents(0, 50));
    await index.compact();
    process.kill(onlyChildOf(BUILDER_CHILD_COMMAND), "SIGSTOP");
    await write(store, collection, documents(50, 120));
    const compacting = index.compact();
    await eventually("the build is under way", () => index.report().building || undefined);
    await engine.dropCollection(collection.key);
    await store.dropCollection(collection.key);
    await compacting;
    expect(readdirSync(join(dir.path, "index"))).toEqual([]);
    const next = await store.createCollection(WORLD);
    await engine.openCollection(next);
    await write(store, next, documents(0, 50));
    await indexOf(engine, next).compact();
    expect(indexOf(engine, next).report()).toMatchObject({ segments: 2, unsealed: 0 });
  });

  test("that cannot be built are told as such, and the child goes on", async () => {
    using dir = tempDir();
    await using builder = new Builder();
    const { signal } = new AbortController();
    const facts = { language: "english", titleWeight: 1, textWeight: 1 };
    const job = { kind: "keyword", facts, sources: [], folder: join(dir.path, "new") };
    const sources = [{ files: { postings: "/nowhere" }, dead: new Uint8Array(), rows: 1 }];
    const failed = await builder.run({ ...job, sources }, signal).catch((error: unknown) => error);
    expect(String(failed)).toContain("nowhere");
    const pid = onlyChildOf(BUILDER_CHILD_COMMAND);
    const again = await builder.run({ ...job, sources }, signal).catch((error: unknown) => error);
    expect(String(again)).toBe(String(failed));
    expect(onlyChildOf(BUILDER_CHILD_COMMAND)).toBe(pid);
  });

  test("cost no process once there is nothing to build for a while, and one again after that", async () => {
    using dir = tempDir();
    const { world, store, collection, index } = await openBuilt(dir.path);
    await using _world = world;
    await write(store, collection, documents(0, 10));
    jest.useFakeTimers();
    try {
      await index.compact();
      const pid = onlyChildOf(BUILDER_CHILD_COMMAND);
      jest.advanceTimersByTime(9_000);
      expect(builders()).toEqual([pid]);
      jest.advanceTimersByTime(2_000);
    } finally {
      jest.useRealTimers();
    }
    await eventually("the child is gone", () => builders().length === 0 || undefined);
    await write(store, collection, documents(10, 20));
    await index.compact();
    expect(builders()).toHaveLength(1);
    expect(index.report()).toMatchObject({ vectors: 20, words: 20, unsealed: 0 });
  });

  test("that wait their turn are refused when the builder ends", async () => {
    using dir = tempDir();
    const builder = new Builder();
    const { signal } = new AbortController();
    const job = { kind: "keyword", facts: {}, sources: [], folder: dir.path };
    const runs = [builder.run(job, signal), builder.run(job, signal)];
    const outcomes = Promise.allSettled(runs);
    await builder[Symbol.asyncDispose]();
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(builders()).toEqual([]);
  });
});

describe("the kind of a job", () => {
  test("has the facts that the job was made from", async () => {
    const base = { sources: [], folder: "/nowhere" };
    for (const facts of [
      { format: 1, dimensions: 3, metric: "cosine", engine: "exact" },
      { dimensions: 3, dtype: "i8", engine: "usearch" },
    ]) {
      const kind = await kindOf({ ...base, kind: "vectors", facts });
      expect([kind.name, kind.facts]).toEqual(["vectors", expect.objectContaining(facts)]);
    }
    const facts = { language: "german", titleWeight: 2, textWeight: 0.5 };
    const kind = await kindOf({ ...base, kind: "keyword", facts });
    expect([kind.name, kind.facts]).toEqual(["keyword", expect.objectContaining(facts)]);
  });
});

/** The same documents in an engine that has sealed nothing. */
async function openHere() {
  const dir = tempDir();
  const world = await openWorld(dir.path);
  const collection = await world.store.createCollection(WORLD);
  await world.engine.openCollection(collection);
  await write(world.store, collection, documents(0, 250));
  await remove(world.store, collection, range(0, 40));
  return {
    answers: await answersOf(world.engine, collection),
    async [Symbol.asyncDispose](): Promise<void> {
      await world[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}
