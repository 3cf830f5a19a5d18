import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../../../src/limits.ts";
import { LocalStore } from "../../../src/store/local/local-store.ts";
import { eventually } from "../../support/process.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { COLLECTION, slicesOf, withVector, written } from "./fixtures.ts";
import { OPENERS, type Opener } from "./openers.ts";

const fileIn = (folder: string): string => join(folder, "slipstream.db");

/** Makes a data directory with two documents, and then one change by hand. */
async function wrongBy(folder: string, sql: string): Promise<LocalStore> {
  {
    await using store = await LocalStore.open(folder);
    const { key } = await store.createCollection(COLLECTION);
    await store.writeDocuments(key, [withVector("a", [1, 0]), written("b", "text")]);
    expect(await store.check()).toEqual([]);
  }
  using db = new Database(fileIn(folder));
  db.run(sql);
  return LocalStore.open(folder);
}

/** Rooms, standing queries and jobs in about every state that they come to. */
async function liveThrough(store: LocalStore): Promise<void> {
  const { key: collectionKey } = await store.createCollection(COLLECTION);
  await store.writeDocuments(collectionKey, [written("a", "x"), written("b", "x")]);
  await store.deleteDocuments(collectionKey, ["a"]);
  const publish = (room: string, count: number) =>
    store.appendPublications(
      Array.from({ length: count }, (_, n) => ({ room, data: "1", key: `${n}` })),
      Date.now(),
    );
  for (const room of ["laps", "old", "gone", "silent"]) await publish(room, 200);
  await store.configureRoom("laps", { historyMessages: 20, historySeconds: 60, head: 200 });
  await store.trimRooms(Date.now());
  await store.trimRooms(Date.now() + 25 * 60 * 60_000);
  await store.configureRoom("laps", { historyMessages: 90, historySeconds: 60, head: 200 });
  await store.appendPublications(
    Array.from({ length: 5 }, (_, n) => ({ room: "laps", data: "1", key: `later-${n}` })),
    Date.now(),
  );
  await store.configureRoom("silent", { historyMessages: 0, historySeconds: 0, head: 200 });
  await store.configureRoom("silent", { historyMessages: 9, historySeconds: 60, head: 250 });
  await store.configureRoom("jobs:new", { historyMessages: 9, historySeconds: 60, head: 7 });
  await store.forgetRoom("gone", 200);
  const queries = [{ query: "q", sequence: 3, knownFrom: 0 }];
  const matches = [{ query: "q", documentId: "b", sequence: 2, inside: true }];
  await store.keepStanding({ collectionKey, queries, matches });
  const job = {
    id: "job",
    kind: "ingest",
    collection: null,
    priority: "normal",
    payload: 1,
  } as const;
  const rest = { total: null, unit: "", attemptsMax: 1, requestId: null, traceparent: null };
  await store.addJob({ ...job, ...rest, runId: null }, 1);
}

describe("a check of the data", () => {
  test.each([
    ["a wrong count of documents", "UPDATE collections SET documents = 7", "documents"],
    ["a wrong count of chunks", "UPDATE collections SET chunks = chunks + 1", "chunks"],
    ["a vector that is missing", "DELETE FROM vectors", "vectors"],
    ["a vector that nobody counts", "UPDATE chunks SET state = 2 WHERE state = 1", "vectors"],
  ])("finds %s", async (...[, sql, counted]) => {
    using dir = tempDir();
    await using store = await wrongBy(dir.path, sql);
    expect(await store.check()).toEqual([`rules counts its ${counted} wrong`]);
  });

  test("finds a row that points to nothing", async () => {
    using dir = tempDir();
    await using store = await wrongBy(
      dir.path,
      "INSERT INTO vectors (chunk_key, vector) VALUES (77, zeroblob(8))",
    );
    expect(await store.check()).toEqual(["vectors 77 points to nothing"]);
  });

  const last = "(SELECT value FROM facts WHERE name = 'sequence')";
  const standing = "standing query q is ahead of the changes";
  test.each([
    ["a room with a hole", "DELETE FROM publications WHERE offset = 203", "room laps lacks some"],
    ["a room that is behind", "UPDATE rooms SET head = 150, trimmed = 150", "room laps lacks some"],
    ["a key of nothing", "UPDATE publication_keys SET offset = 999", "room laps knows a key"],
    ["a document without a change", "DELETE FROM changes WHERE kind = 'insert'", "document b has"],
    ["a document that was deleted", "UPDATE changes SET kind = 'delete'", "document b has"],
    [
      "a change without a number",
      "UPDATE facts SET value = 1 WHERE name = 'sequence'",
      "change 2 ",
    ],
    ["matches ahead of all", `UPDATE standing_leaves SET sequence = ${last} + 1`, standing],
    [
      "matches elsewhere",
      "UPDATE standing_matches SET collection_key = 9",
      "standing query q matches",
    ],
    ["a job without its end", "UPDATE jobs SET state = 'failed'", "job job is failed and"],
    [
      "a job's errors",
      "INSERT INTO job_errors SELECT number, 1, '', 1, '', '' FROM jobs",
      "job job counts",
    ],
  ])("finds %s", async (_name, sql, problem) => {
    using dir = tempDir();
    {
      await using store = await LocalStore.open(dir.path);
      await liveThrough(store);
      expect(await store.check()).toEqual([]);
    }
    {
      using db = new Database(fileIn(dir.path));
      db.run(sql);
    }
    await using store = await LocalStore.open(dir.path);
    expect((await store.check())[0]).toStartWith(problem);
  });

  test.each(["chunks_by_document", "chunks_by_collection"])(
    "finds a page of %s that is damaged, and still answers",
    async (name) => {
      using dir = tempDir();
      await (await wrongBy(dir.path, "VACUUM"))[Symbol.asyncDispose]();
      damagePage(fileIn(dir.path), name);
      await using store = await LocalStore.open(dir.path);
      const problems = await store.check();
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.join()).toMatch(/page|row|index/i);
    },
  );
});

/** Makes the first page of a table or an index point past its own end. */
function damagePage(path: string, name: string): void {
  const db = new Database(path, { readonly: true });
  const found = db
    .query<{ page: number; bytes: number }, [string]>(
      "SELECT rootpage AS page, page_size AS bytes FROM sqlite_schema, pragma_page_size WHERE name = ?",
    )
    .get(name);
  db.close();
  if (found === null) throw new Error(`${name} is not in the database`);
  const file = openSync(path, "r+");
  // The cell pointers of a leaf begin 8 bytes into its page (sqlite.org/fileformat2.html, 1.6).
  writeSync(file, Buffer.alloc(4, 0xff), 0, 4, (found.page - 1) * found.bytes + 8);
  closeSync(file);
}

/** Documents that fill a few thousand pages. */
const bulk = Array.from({ length: 1500 }, (_, at) => written(`d${at}`, `word${at} `.repeat(500)));

async function openBulk(open: Opener, folder: string) {
  const store = await open(folder);
  const { key } = await store.createCollection(COLLECTION);
  for (const slice of slicesOf(bulk)) await store.writeDocuments(key, slice);
  const remove = async (documents: typeof bulk) => {
    for (const slice of slicesOf(documents)) {
      const ids = slice.map(({ id }) => id);
      await store.deleteDocuments(key, ids);
    }
  };
  return { store, key, remove };
}

describe.each(OPENERS)("the database file of %s", (...[, open]) => {
  test("gives all free room back when it is asked to, and nothing else changes", async () => {
    using dir = tempDir();
    const { store, key, remove } = await openBulk(open, dir.path);
    await using _store = store;
    await store.giveBack();
    const full = statSync(fileIn(dir.path)).size;
    expect(await store.diskBytes()).toBe(full);
    await remove(bulk.slice(0, limits.chunksRemovedPerVacuum - 100));
    await store.giveBack();
    const bytes = statSync(fileIn(dir.path)).size;
    expect(bytes).toBeLessThan(full * 0.6);
    expect(await store.diskBytes()).toBe(bytes);
    expect(await store.check()).toEqual([]);
    expect(await store.countDocuments(key)).toBe(bulk.length - limits.chunksRemovedPerVacuum + 100);
    expect((await store.document(key, "d1499"))?.text).toBe(bulk[1499]?.text ?? null);
    await store.giveBack();
    expect(await store.diskBytes()).toBe(bytes);
  });

  test("gives most free room back by itself after many deletions", async () => {
    using dir = tempDir();
    const { store, remove } = await openBulk(open, dir.path);
    await using _store = store;
    const full = await store.diskBytes();
    await remove(bulk.slice(0, limits.chunksRemovedPerVacuum + 400));
    await eventually("the file is smaller", async () =>
      (await store.diskBytes()) < full * 0.5 ? true : undefined,
    );
    expect(await store.check()).toEqual([]);
  });
});
