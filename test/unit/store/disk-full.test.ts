import { describe, expect, test } from "bun:test";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../../src/problems.ts";
import type { Commit } from "../../../src/store/store.ts";
import { problemOf } from "../problems/problem-of.ts";
import { COLLECTION, written } from "./fixtures.ts";
import { OPENERS } from "./openers.ts";
import { canMount, smallDisk } from "./small-disk.ts";

/** Takes all room but so many bytes. */
function fill(folder: string, keepBytes = 0): { free: () => void } {
  const path = join(folder, "ballast");
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(path, Buffer.alloc(Math.max(0, bavail * bsize - keepBytes)));
  return { free: () => rmSync(path) };
}

const bulky = (id: string) => written(id, `${id} flag `.repeat(4000));

// Needs root on Linux: a disk of its own is mounted and filled.
describe.skipIf(!canMount).each(OPENERS)("%s on a full disk", (...[, open]) => {
  test("a write is refused whole, nothing of it is seen, and reading goes on", async () => {
    using disk = smallDisk(3072);
    await using store = await open(disk.path, { fts5: true });
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("first", "red flag")]);
    const commits: Commit[] = [];
    store.onCommit((commit) => commits.push(commit));
    const ballast = fill(disk.path, 40_000);

    const batch = [bulky("a"), bulky("b"), bulky("c")];
    const problem = await problemOf(() => store.writeDocuments(key, batch));
    expect(problem.code).toBe("storage_full");
    expect(problem.retryAfterMs).toBeGreaterThan(0);
    expect(commits).toEqual([]);
    expect(store.sequence).toBe(1);
    expect(await store.countDocuments(key)).toBe(1);
    expect((await store.document(key, "first"))?.text).toBe("red flag");
    const search = { collectionKey: key, terms: ["flag"], limit: 5 };
    expect(await store.keyword(search)).toHaveLength(1);
    expect((await problemOf(() => store.writeDocuments(key, batch))).code).toBe("storage_full");

    ballast.free();
    const [again] = await store.writeDocuments(key, batch);
    expect(again?.sequence).toBe(2);
    expect(await store.keyword(search)).toHaveLength(4);
    expect(commits).toHaveLength(1);
  });

  test("every other write is refused by the same problem", async () => {
    using disk = smallDisk(3072);
    await using store = await open(disk.path);
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [written("first", "red flag")]);
    const [pending] = await store.pending({ after: 0, limit: 1 });
    const ballast = fill(disk.path);
    const vector = new Float32Array([1, 0]);
    for (const write of [
      () => store.createCollection({ ...COLLECTION, name: "other" }),
      () => store.deleteDocuments(key, ["first"]),
      () => store.putAlias("alias", key),
      () => store.putAnswer("key", { requestSha256: "0", answer: "1" }),
      () => store.writeVectors(key, [{ key: pending?.key ?? 0, vector }]),
    ]) {
      expect((await problemOf(write)).code).toBe("storage_full");
    }
    ballast.free();
    expect((await store.createCollection({ ...COLLECTION, name: "other" })).name).toBe("other");
    await store.writeVectors(key, [{ key: pending?.key ?? 0, vector }]);
    expect(await store.pendingTotal()).toBe(0);
  });

  test("closing does not fail, and all is there afterwards", async () => {
    using disk = smallDisk(3072);
    const store = await open(disk.path);
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [bulky("a")]);
    const ballast = fill(disk.path);
    await store[Symbol.asyncDispose]();
    ballast.free();
    await using again = await open(disk.path);
    expect(await again.countDocuments(key)).toBe(1);
  });

  test("opening either works or says that there is no room, and leaves no lock behind", async () => {
    using disk = smallDisk(3072);
    await (await open(disk.path))[Symbol.asyncDispose]();
    const ballast = fill(disk.path);
    const refused = await open(disk.path).then(
      async (store) => store[Symbol.asyncDispose](),
      (reason: unknown) => reason,
    );
    if (refused !== undefined) {
      expect(refused).toBeInstanceOf(Problem);
      expect(refused).toHaveProperty("code", "storage_full");
    }
    ballast.free();
    await (await open(disk.path))[Symbol.asyncDispose]();
  });
});
